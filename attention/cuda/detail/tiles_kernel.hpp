#pragma once

#include "attention/cuda/detail/attend_arguments.hpp"
#include "attention/cuda/detail/matrix_rows.hpp"
#include "attention/cuda/detail/tile_plan.hpp"
#include "attention/cuda/detail/tile_rows.hpp"

namespace maskerade::cuda {

// Attention over the tiles of a tile plan, float16 or bfloat16, by matrix products of a warp. A
// block of four warps, each with 16 of the 64 rows, computes one part of a row block's tiles (see
// AttendArguments::splits). While it computes on one tile, it copies K and V of the next ones to
// shared memory.
template <typename Lane, DType kType, int kDim>
class TilesKernel {
 public:
  static constexpr int kThreads = 128;
  static constexpr int kBlocksPerMultiprocessor = 2;  // at least
  static constexpr int kStages = kDim <= 64 ? 3 : 2;  // tiles of K and V in shared memory
  static constexpr int kWarps = kThreads / 32;
  static constexpr int kBiasBytes = kWarps * TileRows<Lane>::kBiasBytes;
  static constexpr int kTileBytes = kTileKeys * kDim * 2;
  // Shared memory holds the queries, the stages of keys and values, and, where the mask has sampled
  // keys, each warp's biases of one tile.
  MASKERADE_HOST_DEVICE static constexpr int shared_bytes(bool has_sampled) {
    return kTileBytes * (1 + 2 * kStages) + (has_sampled ? kBiasBytes : 0);
  }
  static_assert(kTileBytes * (1 + 2 * kStages) + kBiasBytes <= kMostSharedBytes);

  MASKERADE_DEVICE TilesKernel(Lane& lane,
                               const AttendArguments& arguments,
                               const TilePlan& plan,
                               std::byte* shared)
      : lane_(lane), arguments_(arguments), plan_(plan), shared_(shared) {}

  // The block's number is row_block * splits + split, counted from the last one down. Rationale:
  // later queries see more keys, and long work should start first.
  MASKERADE_DEVICE void run() {
    const TileLayout& layout = plan_.layout;
    const std::int64_t part = layout.row_blocks() * arguments_.splits - 1 - lane_.block();
    const std::int64_t row_block = part / arguments_.splits;
    const Range entries = plan_.entries_of(layout.piece_of(row_block))
                              .split(part % arguments_.splits, arguments_.splits);
    const int tiles = static_cast<int>(entries.end - entries.begin);
    entries_ = plan_.arrays.entries + entries.begin;
    const int warp = lane_.thread() / 32;
    from_.start(lane_, arguments_, plan_, row_block, 16 * warp,
                shared_ + shared_bytes(false) + warp * TileRows<Lane>::kBiasBytes);
    const std::int64_t element = arguments_.keys_at(from_.block().batch, from_.block().kv_head) * 2;
    keys_ = static_cast<const std::byte*>(arguments_.k) + element;
    values_ = static_cast<const std::byte*>(arguments_.v) + element;

    copy_queries();
    for (int stage = 0; stage < kStages - 1; ++stage) copy_tile(stage, tiles);
    lane_.template wait_copies<kStages - 1>();
    lane_.sync();
    MatrixRows<Lane, kType, kDim, kTileKeys> rows;
    rows.start(lane_, {shared_}, 16 * warp);
    for (int i = 0; i < tiles; ++i) {
      lane_.template wait_copies<kStages - 2>();
      // From here on all threads see tile i, and none still reads tile i - 1, whose stage the next
      // copy overwrites.
      lane_.sync();
      copy_tile(i + kStages - 1, tiles);
      attend_tile(rows, i);
    }
    lane_.template wait_copies<0>();
    rows.finish(lane_);
    for (int half = 0; half < 2; ++half) {
      if (!from_.has_row(half)) continue;
      rows.store(
          lane_, half,
          target_of(arguments_, {from_.problem_row(half), part, from_.row(half), kBlockRows}));
    }
  }

 private:
  // Where the keys and the values of a stage lie in shared memory.
  MASKERADE_DEVICE SharedRows<kDim> keys_of(int stage) const {
    return {shared_ + kTileBytes * (1 + 2 * stage)};
  }
  MASKERADE_DEVICE SharedRows<kDim> values_of(int stage) const {
    return {shared_ + kTileBytes * (2 + 2 * stage)};
  }

  // Starts copying the queries, as one group of copies. In place of rows that the row block lacks
  // its first one is copied; their results are not stored.
  MASKERADE_DEVICE void copy_queries() {
    const auto* q = static_cast<const std::byte*>(arguments_.q);
    copy_rows<Lane, kDim>(lane_, {lane_.thread(), kThreads, kBlockRows, kBlockRows}, {shared_},
                          [&](int row) {
                            const TileLayout& layout = plan_.layout;
                            const int r = layout.has_row(from_.block(), row) ? row : 0;
                            return q + layout.row_of(from_.block(), r) * kDim * 2;
                          });
    lane_.commit_copies();
  }

  // Starts copying tile i, as one group of copies; past the last tile the group is empty.
  MASKERADE_DEVICE void copy_tile(int i, int tiles) {
    if (i < tiles) {
      const std::int64_t first_key = std::int64_t{entries_[i].tile} * kTileKeys;
      const auto valid =
          static_cast<int>(smaller<std::int64_t>(kTileKeys, arguments_.key_len - first_key));
      const std::byte* const keys = keys_ + first_key * kDim * 2;
      const std::byte* const values = values_ + first_key * kDim * 2;
      const RowCopy copy{lane_.thread(), kThreads, kTileKeys, valid};
      copy_rows<Lane, kDim>(lane_, copy, keys_of(i % kStages),
                            [&](int row) { return keys + row * kDim * 2; });
      copy_rows<Lane, kDim>(lane_, copy, values_of(i % kStages),
                            [&](int row) { return values + row * kDim * 2; });
    }
    lane_.commit_copies();
  }

  // One step of the online softmax, over tile i, which has arrived.
  MASKERADE_DEVICE void attend_tile(MatrixRows<Lane, kType, kDim, kTileKeys>& rows, int i) {
    if (from_.is_idle()) return;
    const SharedRows<kDim> keys = keys_of(i % kStages);
    const SharedRows<kDim> values = values_of(i % kStages);
    rows.step(lane_, keys, values, [&](float(&scores)[kTileKeys / 8][4]) {
      from_.weigh(lane_, entries_[i], arguments_.scale_log2, scores);
    });
  }

  Lane& lane_;
  const AttendArguments& arguments_;
  const TilePlan& plan_;
  std::byte* shared_;
  TileRows<Lane> from_;                 // this warp's rows
  const TileEntry* entries_ = nullptr;  // of the part
  const std::byte* keys_ = nullptr;     // [key_len][kDim] of the kv head, in global memory
  const std::byte* values_ = nullptr;   // [key_len][kDim]
};

}  // namespace maskerade::cuda
