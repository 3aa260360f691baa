#pragma once

#include "attention/cuda/detail/attend_arguments.hpp"
#include "attention/cuda/detail/matrix_rows.hpp"
#include "attention/cuda/detail/row_plan.hpp"

namespace maskerade::cuda {

// Attention over the listed keys of a row plan, float16 or bfloat16, by matrix products of 16 rows:
// the query heads of one group, so that each listed row of K and V is read once for all of them. A
// block of four warps computes one part of a row block's keys: each warp takes every fourth run of
// 16 keys, copies its next runs to shared memory meanwhile, and the four results are merged at the
// end.
template <typename Lane, DType kType, int kDim>
class RowsKernel {
 public:
  static constexpr int kWarps = 4;
  static constexpr int kThreads = 32 * kWarps;
  static constexpr int kBlocksPerMultiprocessor = 2;  // at least
  static constexpr int kKeys = 16;                    // keys of a step
  static constexpr int kStages = kDim <= 64 ? 3 : 2;  // steps in shared memory, for each warp
  static constexpr int kStepBytes = kKeys * kDim * 2;
  static constexpr int kQueryBytes = kListRows * kDim * 2;
  // Shared memory holds the queries and each warp's stages of keys and values; at the end, instead
  // of them, the results of the warps.
  static constexpr int kSharedBytes = kQueryBytes + kWarps * kStages * 2 * kStepBytes;
  static_assert(kWarps * kListRows * (kDim + 2) * 4 <= kSharedBytes,
                "the results of the warps must fit shared memory");
  static_assert(kSharedBytes <= kMostSharedBytes);

  MASKERADE_DEVICE RowsKernel(Lane& lane,
                              const AttendArguments& arguments,
                              const RowPlan& plan,
                              std::byte* shared)
      : lane_(lane), arguments_(arguments), plan_(plan), shared_(shared) {}

  // The block's number is row_block * splits + split.
  MASKERADE_DEVICE void run() {
    const RowLayout& layout = plan_.layout;
    const std::int64_t part = lane_.block();
    const std::int64_t row_block = part / arguments_.splits;
    const RowLayout::RowBlock block = layout.row_block_at(row_block);
    const std::int64_t piece = layout.piece_of(row_block);
    range_ = plan_.keys_of(piece).split(part % arguments_.splits, arguments_.splits);
    warp_ = lane_.thread() / 32;
    const std::int64_t element = arguments_.keys_at(block.batch, block.kv_head) * 2;
    keys_ = static_cast<const std::byte*>(arguments_.k) + element;
    values_ = static_cast<const std::byte*>(arguments_.v) + element;
    const auto runs = static_cast<int>(ceil_div(range_.end - range_.begin, kKeys));
    const int steps = runs > warp_ ? (runs - warp_ + kWarps - 1) / kWarps : 0;

    const auto* q = static_cast<const std::byte*>(arguments_.q);
    copy_rows<Lane, kDim>(
        lane_, {lane_.thread(), kThreads, kListRows, static_cast<int>(block.heads)}, {shared_},
        [&](int row) { return q + layout.row_of(block, row) * kDim * 2; });
    lane_.commit_copies();
    for (int step = 0; step < kStages - 1; ++step) copy_step(step, steps);
    lane_.template wait_copies<kStages - 1>();
    lane_.sync();
    MatrixRows<Lane, kType, kDim, kKeys> rows;
    rows.start(lane_, {shared_}, 0);
    for (int step = 0; step < steps; ++step) {
      lane_.template wait_copies<kStages - 2>();
      // From here on all lanes see the copied step, and none still reads the step before it, whose
      // stage the next copy overwrites.
      lane_.sync_warp();
      copy_step(step + kStages - 1, steps);
      attend_step(rows, step);
    }
    lane_.template wait_copies<0>();
    rows.finish(lane_);
    merge_warps(rows, block, part);
  }

 private:
  // Where the keys and the values of a step of this warp lie in shared memory.
  MASKERADE_DEVICE SharedRows<kDim> keys_of(int step) const {
    return {shared_ + kQueryBytes + (warp_ * kStages + step % kStages) * 2 * kStepBytes};
  }
  MASKERADE_DEVICE SharedRows<kDim> values_of(int step) const {
    return {keys_of(step).data + kStepBytes};
  }
  // Where the keys of a step of this warp begin in the plan's list.
  MASKERADE_DEVICE std::int64_t first_of(int step) const {
    return range_.begin + (std::int64_t{step} * kWarps + warp_) * kKeys;
  }

  // Starts copying a step of this warp, as one group of copies; past the last step the group is
  // empty.
  MASKERADE_DEVICE void copy_step(int step, int steps) {
    if (step < steps) {
      const std::int64_t first = first_of(step);
      const int id = lane_.in_warp();
      const auto valid = static_cast<int>(smaller<std::int64_t>(kKeys, range_.end - first));
      const std::int32_t* const listed = plan_.arrays.keys + first;
      const RowCopy copy{id, 32, kKeys, valid};
      copy_rows<Lane, kDim>(lane_, copy, keys_of(step),
                            [&](int row) { return keys_ + std::int64_t{listed[row]} * kDim * 2; });
      copy_rows<Lane, kDim>(lane_, copy, values_of(step), [&](int row) {
        return values_ + std::int64_t{listed[row]} * kDim * 2;
      });
    }
    lane_.commit_copies();
  }

  // One step of the online softmax, over the keys of a step that has arrived.
  MASKERADE_DEVICE void attend_step(MatrixRows<Lane, kType, kDim, kKeys>& rows, int step) {
    const std::int64_t first = first_of(step);
    const int row = lane_.in_warp() / 4;
    const auto logit_of = [&](int half, int column, float score) {
      const std::int64_t at = first + column;
      if (at >= range_.end) return kNoKeys;
      if (plan_.arrays.rows != nullptr && ((plan_.arrays.rows[at] >> (row + 8 * half)) & 1U) == 0) {
        return kNoKeys;
      }
      float logit = score * arguments_.scale_log2;
      if (plan_.arrays.biases != nullptr) {
        // A row beyond the row block's heads takes the last head's; its result is not stored.
        const std::int64_t head =
            plan_.layout.has_mask_per_head
                ? smaller<std::int64_t>(row + 8 * half, plan_.biases_of_key() - 1)
                : 0;
        logit += plan_.arrays.biases[at * plan_.biases_of_key() + head];
      }
      return logit;
    };
    rows.step(lane_, keys_of(step), values_of(step),
              [&](float(&scores)[kKeys / 8][4]) { weigh_each(lane_, scores, logit_of); });
  }

  // Merges the results of the warps through shared memory and stores them.
  MASKERADE_DEVICE void merge_warps(const MatrixRows<Lane, kType, kDim, kKeys>& rows,
                                    const RowLayout::RowBlock& block,
                                    std::int64_t part) {
    auto* const results = reinterpret_cast<float*>(shared_);  // [kWarps][kListRows][kDim]
    float* const tops = results + kWarps * kListRows * kDim;  // [kWarps][kListRows]
    float* const sums = tops + kWarps * kListRows;            // [kWarps][kListRows]
    lane_.sync();  // no warp reads its stages any more, which the results overwrite
    for (int half = 0; half < 2; ++half) {
      const int at = warp_ * kListRows + lane_.in_warp() / 4 + 8 * half;
      rows.store(lane_, half, {results + at * kDim, nullptr, tops + at, sums + at});
    }
    lane_.sync();
    for (int i = lane_.thread(); i < static_cast<int>(block.heads) * kDim; i += kThreads) {
      const int row = i / kDim;
      const int d = i % kDim;
      RowState state;
      for (int w = 0; w < kWarps; ++w) state.top = larger(state.top, tops[w * kListRows + row]);
      float out = 0;
      for (int w = 0; w < kWarps; ++w) {
        const int at = w * kListRows + row;
        if (tops[at] == kNoKeys) continue;
        const float weight = exp2f(tops[at] - state.top);
        state.sum += weight * sums[at];
        out += weight * results[at * kDim + d];
      }
      const RowTarget target =
          target_of(arguments_, {plan_.layout.row_of(block, row), part, row, kListRows});
      target.out[d] = out * stored_factor(target, state);
      if (d == 0) store_state(target, state);
    }
  }

  Lane& lane_;
  const AttendArguments& arguments_;
  const RowPlan& plan_;
  std::byte* shared_;
  int warp_ = 0;                       // of the block
  Range range_;                        // the part's keys in the plan's list
  const std::byte* keys_ = nullptr;    // [key_len][kDim] of the kv head, in global memory
  const std::byte* values_ = nullptr;  // [key_len][kDim]
};

}  // namespace maskerade::cuda
