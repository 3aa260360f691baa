#pragma once

#include "attention/cuda/detail/attend_arguments.hpp"
#include "attention/cuda/detail/matrix_rows.hpp"
#include "attention/cuda/detail/tile_plan.hpp"

namespace maskerade::cuda {

// Attention over the tiles of a plan, float16 or bfloat16 by matrix products: a block of four warps
// has a row block (or a part of its tiles), a warp 16 of its rows. K and V of the next tiles are
// copied to shared memory meanwhile.
template <typename Lane, DType kType, int kDim>
class TilesKernel {
 public:
  static constexpr int kThreads = 128;
  static constexpr int kStages = kDim <= 64 ? 3 : 2;
  static constexpr int kBiasStride = kTileKeys + 8;
  static constexpr int kTileBytes = kTileKeys * kDim * 2;
  // Queries, stages of keys and values, and the biases of one tile where the mask has sampled keys.
  MASKERADE_HOST_DEVICE static constexpr int shared_bytes(bool has_sampled) {
    return kTileBytes * (1 + 2 * kStages) + (has_sampled ? kBlockRows * kBiasStride * 4 : 0);
  }
  static_assert(kTileBytes * (1 + 2 * kStages) + kBlockRows * kBiasStride * 4 <= kMostSharedBytes);

  MASKERADE_DEVICE TilesKernel(Lane& lane,
                               const AttendArguments& arguments,
                               const TilePlan& plan,
                               std::byte* shared)
      : lane_(lane), arguments_(arguments), plan_(plan), shared_(shared) {}

  // Block: row_block * splits + split, from the last on: later queries see more keys.
  MASKERADE_DEVICE void run() {
    const TileLayout& layout = plan_.layout;
    const std::int64_t part = layout.row_blocks() * arguments_.splits - 1 - lane_.block();
    const std::int64_t row_block = part / arguments_.splits;
    place_ = layout.place_of(row_block);
    piece_ = layout.piece_of(row_block);
    const Range entries =
        plan_.entries_of(piece_).split(part % arguments_.splits, arguments_.splits);
    const int tiles = static_cast<int>(entries.end - entries.begin);
    entries_ = plan_.arrays.entries + entries.begin;
    const std::int64_t element = arguments_.keys_at(place_.batch, place_.kv_head) * 2;
    keys_ = static_cast<const std::byte*>(arguments_.k) + element;
    values_ = static_cast<const std::byte*>(arguments_.v) + element;

    for (int half = 0; half < 2; ++half) {
      rows_[half] = 16 * (lane_.thread() / 32) + lane_.in_warp() / 4 + 8 * half;
      const bool is_there = layout.has_row(place_, rows_[half]);
      ends_[half] = is_there ? plan_.mask.ends[place_.first_query + rows_[half] % layout.queries]
                             : arguments_.key_len;
      if (!is_there) rows_[half] = -1;
    }
    // Rows that are not there are the last ones.
    is_idle_ = !layout.has_row(place_, 16 * (lane_.thread() / 32));
    copy_queries();
    for (int stage = 0; stage < kStages - 1; ++stage) copy_tile(stage, tiles);
    lane_.template wait_copies<kStages - 1>();
    lane_.sync();
    MatrixRows<Lane, kType, kDim, kTileKeys> rows;
    rows.start(lane_, {shared_}, 16 * (lane_.thread() / 32));
    for (int i = 0; i < tiles; ++i) {
      lane_.template wait_copies<kStages - 2>();
      // After it all have tile i, and none reads tile i - 1, whose stage is copied to next.
      lane_.sync();
      copy_tile(i + kStages - 1, tiles);
      attend_tile(rows, i);
    }
    lane_.template wait_copies<0>();
    rows.finish(lane_);
    for (int half = 0; half < 2; ++half) {
      if (rows_[half] < 0) continue;
      rows.store(
          lane_, half,
          target_of(arguments_, layout.row_of(place_, rows_[half]), part, rows_[half], kBlockRows));
    }
  }

 private:
  MASKERADE_DEVICE SharedRows<kDim> keys_of(int stage) const {
    return {shared_ + kTileBytes * (1 + 2 * stage)};
  }
  MASKERADE_DEVICE SharedRows<kDim> values_of(int stage) const {
    return {shared_ + kTileBytes * (2 + 2 * stage)};
  }

  // One group of copies. Rows that are not there are copies of the first.
  MASKERADE_DEVICE void copy_queries() {
    const auto* q = static_cast<const std::byte*>(arguments_.q);
    copy_rows<Lane, kDim>(lane_, lane_.thread(), kThreads, kBlockRows, kBlockRows, {shared_},
                          [&](int row) {
                            const int r = plan_.layout.has_row(place_, row) ? row : 0;
                            return q + plan_.layout.row_of(place_, r) * kDim * 2;
                          });
    lane_.commit_copies();
  }

  // One group of copies, empty past the last tile.
  MASKERADE_DEVICE void copy_tile(int i, int tiles) {
    if (i < tiles) {
      const std::int64_t first_key = std::int64_t{entries_[i].tile} * kTileKeys;
      const auto valid =
          static_cast<int>(smaller<std::int64_t>(kTileKeys, arguments_.key_len - first_key));
      const std::byte* const keys = keys_ + first_key * kDim * 2;
      const std::byte* const values = values_ + first_key * kDim * 2;
      copy_rows<Lane, kDim>(lane_, lane_.thread(), kThreads, kTileKeys, valid, keys_of(i % kStages),
                            [&](int row) { return keys + row * kDim * 2; });
      copy_rows<Lane, kDim>(lane_, lane_.thread(), kThreads, kTileKeys, valid,
                            values_of(i % kStages),
                            [&](int row) { return values + row * kDim * 2; });
    }
    lane_.commit_copies();
  }

  MASKERADE_DEVICE void attend_tile(MatrixRows<Lane, kType, kDim, kTileKeys>& rows, int i) {
    const TileEntry entry = entries_[i];
    const std::int64_t first_key = std::int64_t{entry.tile} * kTileKeys;
    const SharedRows<kDim> keys = keys_of(i % kStages);
    const SharedRows<kDim> values = values_of(i % kStages);
    const float scale = arguments_.scale_log2;
    const bool has_biases = plan_.mask.has_sampled() && entry.bits >= 0;
    const float* const biases = has_biases ? fill_biases(first_key) : nullptr;
    if (is_idle_) return;
    if (entry.bits == kAllVisible &&
        lane_.all_in_warp(smaller(ends_[0], ends_[1]) >= first_key + kTileKeys)) {
      rows.step(lane_, keys, values, [&](int, int, float score) { return score * scale; });
      return;
    }
    std::uint64_t words[2];
    for (int half = 0; half < 2; ++half) {
      words[half] = entry.bits == kAllVisible ? low_bits(ends_[half] - first_key) : 0;
      if (entry.bits >= 0 && rows_[half] >= 0) {
        words[half] =
            plan_.arrays
                .bits[entry.bits * plan_.layout.piece_rows() + plan_.layout.piece_row(rows_[half])];
      }
    }
    rows.step(lane_, keys, values, [&](int half, int column, float score) {
      if (((words[half] >> column) & 1U) == 0) return kNoKeys;
      const float bias = has_biases ? biases[larger(rows_[half], 0) * kBiasStride + column] : 0.0F;
      return score * scale + bias;
    });
  }

  // -log2 p of the sampled entries of the row block's rows in a tile, 0 elsewhere. All threads.
  MASKERADE_DEVICE const float* fill_biases(std::int64_t first_key) {
    auto* const biases = reinterpret_cast<float*>(shared_ + shared_bytes(false));
    for (int i = lane_.thread(); i < kBlockRows * kBiasStride; i += kThreads) biases[i] = 0;
    lane_.sync();
    const int row = lane_.thread();
    if (row < kBlockRows && plan_.layout.has_row(place_, row)) {
      const TileLayout::MaskRow from = plan_.layout.mask_row(piece_, plan_.layout.piece_row(row));
      const std::int64_t end = plan_.mask.sampled_end(from.slice, from.query);
      for (std::int64_t s = plan_.mask.first_sampled(from.slice, from.query, first_key);
           s < end && plan_.mask.sampled_keys[s] < first_key + kTileKeys; ++s) {
        biases[row * kBiasStride + plan_.mask.sampled_keys[s] - first_key] =
            -log2f(plan_.mask.sampled_probabilities[s]);
      }
    }
    lane_.sync();
    return biases;
  }

  Lane& lane_;
  const AttendArguments& arguments_;
  const TilePlan& plan_;
  std::byte* shared_;
  TileLayout::Place place_;
  std::int64_t piece_ = 0;
  const TileEntry* entries_ = nullptr;
  const std::byte* keys_ = nullptr;
  const std::byte* values_ = nullptr;
  int rows_[2];           // of the row block; -1: not there
  std::int64_t ends_[2];  // of their visible keys
  bool is_idle_ = false;  // the warp has no rows
};

}  // namespace maskerade::cuda
