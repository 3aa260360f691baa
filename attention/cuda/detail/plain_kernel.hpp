#pragma once

#include "attention/cuda/detail/attend_arguments.hpp"
#include "attention/cuda/detail/row_plan.hpp"
#include "attention/cuda/detail/tile_plan.hpp"
#include "attention/cuda/matrix_shapes.hpp"

namespace maskerade::cuda {

// A key that a lane may attend to.
struct Candidate {
  std::int64_t key = 0;
  bool is_active = false;  // for the lane's row
  float bias = 0;          // -log2 p, what is added to the logit
};

// A part of the keys of a row block: part `split` of `splits`.
struct KeyPart {
  std::int64_t row_block;
  std::int64_t split;
  std::int64_t splits;
};

// The keys of one row in a tile plan, 32 in each step: one for each lane of a warp.
class TileRowKeys {
 public:
  using Plan = TilePlan;
  static constexpr int kRows = kBlockRows;

  // row: of the row block.
  MASKERADE_DEVICE TileRowKeys(const TilePlan& plan, const KeyPart& part, int row)
      : plan_(plan),
        piece_(plan.layout.piece_of(part.row_block)),
        row_(plan.layout.piece_row(row)) {
    entries_ = plan.entries_of(piece_).split(part.split, part.splits);
    from_ = plan.layout.mask_row(piece_, row_);
    query_ = plan.layout.row_block_at(part.row_block).first_query + row % plan.layout.queries;
  }

  MASKERADE_DEVICE std::int64_t steps() const { return 2 * (entries_.end - entries_.begin); }
  MASKERADE_DEVICE Candidate at(std::int64_t step, int lane) const {
    const TileEntry entry = plan_.arrays.entries[entries_.begin + step / 2];
    const std::int64_t column = step % 2 * 32 + lane;
    const std::uint64_t word =
        entry.bits == kAllVisible ? plan_.mask.visible_word(query_, entry.tile)
        : entry.bits == kNoneActive
            ? 0
            : plan_.arrays.bits[entry.bits * plan_.layout.piece_rows() + row_];
    Candidate candidate{std::int64_t{entry.tile} * kTileKeys + column, ((word >> column) & 1U) != 0,
                        0};
    if (candidate.is_active && entry.bits >= 0 && plan_.mask.has_sampled()) {
      candidate.bias =
          -log2f(plan_.mask.sampled_probability(from_.slice, from_.query, candidate.key));
    }
    return candidate;
  }

 private:
  const TilePlan& plan_;
  std::int64_t piece_;
  std::int64_t row_;
  Range entries_;
  TileLayout::MaskRow from_;
  std::int64_t query_;
};

// The keys of one row in a row plan, 32 in each step.
class ListedRowKeys {
 public:
  using Plan = RowPlan;
  static constexpr int kRows = kListRows;

  // row: of the row block.
  MASKERADE_DEVICE ListedRowKeys(const RowPlan& plan, const KeyPart& part, int row)
      : plan_(plan), row_(row) {
    keys_ = plan.keys_of(plan.layout.piece_of(part.row_block)).split(part.split, part.splits);
  }

  MASKERADE_DEVICE std::int64_t steps() const { return ceil_div(keys_.end - keys_.begin, 32); }
  MASKERADE_DEVICE Candidate at(std::int64_t step, int lane) const {
    const std::int64_t at = keys_.begin + step * 32 + lane;
    if (at >= keys_.end) return {};
    Candidate candidate{plan_.arrays.keys[at], true, 0};
    if (plan_.arrays.rows != nullptr) {
      candidate.is_active = ((plan_.arrays.rows[at] >> row_) & 1U) != 0;
    }
    if (plan_.arrays.biases != nullptr) {
      candidate.bias =
          plan_.arrays
              .biases[at * plan_.biases_of_key() + (plan_.layout.has_mask_per_head ? row_ : 0)];
    }
    return candidate;
  }

 private:
  const RowPlan& plan_;
  int row_;
  Range keys_;
};

// Attention in float32 arithmetic, without matrix products, for every dtype and any head_dim up to
// kMostCudaHeadDim. A warp computes one row over one part of its keys: each lane scores one key,
// then the lanes share the components of the values. Keys is TileRowKeys or ListedRowKeys.
template <typename Lane, DType kType, typename Keys>
class PlainKernel {
 public:
  static constexpr int kWarps = 4;
  static constexpr int kThreads = 32 * kWarps;
  static constexpr int kBlocksPerMultiprocessor = 2;  // at least
  static constexpr int kMostDim = static_cast<int>(kMostCudaHeadDim);
  static constexpr int kSharedBytes = kWarps * kMostDim * 4;  // float32 queries [kWarps][kMostDim]
  static constexpr int kGroups = Keys::kRows / kWarps;        // blocks for each part of a row block

  MASKERADE_DEVICE PlainKernel(Lane& lane,
                               const AttendArguments& arguments,
                               const typename Keys::Plan& plan,
                               std::byte* shared)
      : lane_(lane), arguments_(arguments), plan_(plan), shared_(shared) {}

  // The block's number is (row_block * splits + split) * kGroups + group.
  MASKERADE_DEVICE void run() {
    const std::int64_t part = lane_.block() / kGroups;
    const std::int64_t row_block = part / arguments_.splits;
    const int warp = lane_.thread() / 32;
    const int r = static_cast<int>(lane_.block() % kGroups) * kWarps + warp;
    const auto block = plan_.layout.row_block_at(row_block);
    if (!plan_.layout.has_row(block, r)) return;
    const std::int64_t dim = arguments_.head_dim;
    const std::int64_t row = plan_.layout.row_of(block, r);
    auto* const query = reinterpret_cast<float*>(shared_) + warp * kMostDim;
    for (std::int64_t d = lane_.in_warp(); d < dim; d += 32) {
      query[d] = lane_.template load<kType>(arguments_.q, row * dim + d) * arguments_.scale_log2;
    }
    lane_.sync_warp();

    const Keys keys(plan_, {row_block, part % arguments_.splits, arguments_.splits}, r);
    const std::int64_t first = arguments_.keys_at(block.batch, block.kv_head);
    RowState state;
    float out[kMostDim / 32] = {};
    for (std::int64_t step = 0; step < keys.steps(); ++step) {
      const Candidate candidate = keys.at(step, lane_.in_warp());
      float logit = kNoKeys;
      if (candidate.is_active) {
        float dot = 0;
        const std::int64_t key = first + candidate.key * dim;
        for (std::int64_t d = 0; d < dim; ++d) {
          dot += query[d] * lane_.template load<kType>(arguments_.k, key + d);
        }
        logit = dot + candidate.bias;
      }
      float top = larger(state.top, logit);
      for (int distance = 16; distance > 0; distance /= 2) {
        top = larger(top, lane_.shuffle_xor(top, distance));
      }
      if (top == kNoKeys) continue;
      const float factor = exp2f(state.top - top);
      const float weight = exp2f(logit - top);
      state.top = top;
      state.sum = state.sum * factor + weight;
      MASKERADE_UNROLL
      for (float& component : out) component *= factor;
      MASKERADE_KEEP_LOOP
      for (int source = 0; source < 32; ++source) {
        const float of_source = lane_.shuffle(weight, source);
        const std::int64_t value =
            first + lane_.shuffle(static_cast<int>(candidate.key), source) * dim;
        if (of_source == 0) continue;
        MASKERADE_UNROLL
        for (int c = 0; c < kMostDim / 32; ++c) {
          const std::int64_t d = c * 32 + lane_.in_warp();
          if (d < dim) {
            out[c] += of_source * lane_.template load<kType>(arguments_.v, value + d);
          }
        }
      }
    }
    for (int distance = 16; distance > 0; distance /= 2) {
      state.sum += lane_.shuffle_xor(state.sum, distance);
    }
    const RowTarget target = target_of(arguments_, {row, part, r, Keys::kRows});
    const float factor = stored_factor(target, state);
    MASKERADE_UNROLL
    for (int c = 0; c < kMostDim / 32; ++c) {
      const std::int64_t d = c * 32 + lane_.in_warp();
      if (d < dim) target.out[d] = out[c] * factor;
    }
    if (lane_.in_warp() == 0) store_state(target, state);
  }

 private:
  Lane& lane_;
  const AttendArguments& arguments_;
  const typename Keys::Plan& plan_;
  std::byte* shared_;
};

}  // namespace maskerade::cuda
