#pragma once

#include "attention/cuda/detail/attend_arguments.hpp"
#include "attention/cuda/detail/row_block_pairs.hpp"
#include "attention/cuda/detail/row_pair.hpp"
#include "attention/cuda/detail/tensor_tiles.hpp"
#include "attention/cuda/detail/tile_plan.hpp"
#include "attention/cuda/detail/tile_rows.hpp"

namespace maskerade::cuda {

// keys, values: TensorTiles of k and v, slice batch * kv_heads + kv_head, as the lane takes them.
template <typename TensorMap>
struct WarpgroupTilesArguments {
  AttendArguments attend;
  TensorMap keys;
  TensorMap values;
};

// Attention over the tiles of a plan, float16 or bfloat16, by products of warpgroups: one thread
// has the copy engine bring K and V of the tiles that a pair of row blocks lists into a ring in
// shared memory; two warpgroups have a row block each, and wait for nothing but the ring. The first
// product of a tile is under way together with the second one of the tile before, and the softmax
// goes beside the latter.
//
// Why pairs: a tile of 64 keys and 64 rows is 4 * 64 * 64 * head_dim flop over 4 * 64 * head_dim
// bytes of K and V, 64 flop a byte from the second-level cache; where both row blocks list it, 128.
// Why the queries are in registers: of shared memory's 128 bytes a clock a 64 x 64 x 128 tile takes
// 32 KiB by the copy engine's writes and 32 KiB by the products' reads, 512 clocks, as long as its
// products at 4096 flop a clock; queries in shared memory would add 16 KiB of reads. A tile that
// two row blocks share is written once: 768 clocks of 1024.
template <typename Lane, DType kType, int kDim>
class WarpgroupTilesKernel {
 public:
  using Arguments = WarpgroupTilesArguments<typename Lane::TensorMap>;
  static constexpr int kGroupThreads = 128;
  static constexpr int kThreads = 3 * kGroupThreads;  // the copying one first
  static constexpr int kBlocksPerMultiprocessor = 1;
  static constexpr int kTileBytes = kTileKeys * kDim * 2;
  static constexpr int kStages = kDim <= 64 ? 8 : 5;  // of K and V of a tile
  // Of 65536 / kThreads, rounded down to 8, what the copying warpgroup does not need goes to the
  // others.
  static constexpr int kCopyRegisters = 40;
  static constexpr int kProductRegisters = 232;
  // Stages, their barriers and tiles, the biases where the mask has sampled keys, and room to align
  // the first stage.
  MASKERADE_HOST_DEVICE static constexpr int shared_bytes(bool has_sampled) {
    return kAlignment + kBiasesAt + (has_sampled ? kProductWarps * TileRows<Lane>::kBiasBytes : 0);
  }

  MASKERADE_DEVICE WarpgroupTilesKernel(Lane& lane,
                                        const Arguments& arguments,
                                        const TilePlan& plan,
                                        std::byte* shared)
      : lane_(lane), arguments_(arguments), plan_(plan), shared_(shared) {
    shared_ += (0 - lane_.shared_address(shared)) % kAlignment;
  }

  MASKERADE_DEVICE void run() {
    if (lane_.thread() == 0) {
      for (int stage = 0; stage < kStages; ++stage) {
        lane_.init_barrier(filled(kKeys, stage), 1);
        lane_.init_barrier(filled(kValues, stage), 1);
        lane_.init_barrier(released(stage), kProductWarps);
      }
      lane_.publish_barriers();
    }
    lane_.sync();
    // Rationale: from one lane, so that the compiler sees that warps do not diverge.
    const int group = lane_.shuffle(lane_.thread() / kGroupThreads, 0);
    if (group == 0) {
      PairedTiles tiles(plan_.arrays.entries);
      const int slice = find_tiles(tiles);
      // Rationale: not before, the divisions take many.
      lane_.template give_registers<kCopyRegisters>();
      if (lane_.thread() == 0) copy_tiles(tiles, slice);
    } else {
      lane_.template take_registers<kProductRegisters>();
      side_ = group - 1;
      attend();
    }
  }

 private:
  enum Part { kKeys, kValues };
  // The tile in a stage, written before its keys are announced. tile -1: there are no more.
  struct Tile {
    std::int32_t tile;
    std::int32_t bits[2];
  };
  // A place in the sequence of tiles that go through the ring.
  struct Place {
    int number = 0;
    int stage = 0;
    int parity = 0;

    MASKERADE_DEVICE void advance() {
      ++number;
      ++stage;
      if (stage == kStages) {
        stage = 0;
        parity ^= 1;
      }
    }
  };
  enum class Found { kTile, kEnd, kNotYet };

  static constexpr int kAlignment = 1024;  // of the swizzle's pattern
  static constexpr int kProductWarps = 8;
  static constexpr int kSteps = kDim / 16;
  static constexpr int kBarriersAt = kStages * 2 * kTileBytes;
  static constexpr int kTilesAt = kBarriersAt + kStages * 3 * 8;
  static constexpr int kBiasesAt =
      (kTilesAt + kStages * static_cast<int>(sizeof(Tile)) + 15) / 16 * 16;
  static constexpr int kNoLimit = 0x7FFFFFFF;
  static constexpr int kMostHopperSharedBytes = 227 * 1024;
  static_assert(kAlignment + kBiasesAt + kProductWarps * TileRows<Lane>::kBiasBytes <=
                kMostHopperSharedBytes);

  MASKERADE_DEVICE std::byte* stage_of(Part part, int stage) const {
    return shared_ + (2 * stage + part) * kTileBytes;
  }
  // What was copied there has arrived.
  MASKERADE_DEVICE std::uint64_t* filled(Part part, int stage) const {
    return reinterpret_cast<std::uint64_t*>(shared_ + kBarriersAt) + 3 * stage + part;
  }
  // Both warpgroups have read the stage, or do not want it. Rationale: keys are not released before
  // values, since a warpgroup that passes tiles by could then be a round ahead of the values'
  // barrier.
  MASKERADE_DEVICE std::uint64_t* released(int stage) const { return filled(kKeys, stage) + 2; }
  MASKERADE_DEVICE Tile* tile_at(int stage) const {
    return reinterpret_cast<Tile*>(shared_ + kTilesAt) + stage;
  }

  // Block: pair * splits + split, from the last on: later queries see more keys.
  struct Work {
    std::int64_t pair;
    std::int64_t split;
  };
  MASKERADE_DEVICE Work work(const RowBlockPairs& pairs) const {
    const std::int64_t splits = arguments_.attend.splits;
    const std::int64_t part = pairs.count() * splits - 1 - lane_.block();
    return {part / splits, part % splits};
  }

  // What the pair lists; gives its slice of k and v.
  MASKERADE_DEVICE int find_tiles(PairedTiles& tiles) const {
    const RowBlockPairs pairs{plan_.layout};
    const auto [pair, split] = work(pairs);
    for (int side = 0; side < 2; ++side) {
      const std::int64_t row_block = pairs.row_block(pair, side);
      if (row_block < 0) continue;
      tiles.ranges[side] =
          plan_.entries_of(plan_.layout.piece_of(row_block)).split(split, arguments_.attend.splits);
    }
    const TileLayout::Place place = plan_.layout.place_of(pairs.row_block(pair, 0));
    return static_cast<int>(place.batch * plan_.layout.kv_heads + place.kv_head);
  }
  // The copying thread.
  MASKERADE_DEVICE void copy_tiles(PairedTiles& tiles, int slice) {
    lane_.prefetch(arguments_.keys);
    lane_.prefetch(arguments_.values);
    Place to;
    Tile next;
    for (;; to.advance()) {
      next.tile = tiles.next(next.bits);
      // The first time round the stages are free: the phase before the first counts as ended.
      lane_.wait(released(to.stage), to.parity ^ 1);
      *tile_at(to.stage) = next;
      if (next.tile < 0) {
        lane_.arrive(filled(kKeys, to.stage));
        return;
      }
      copy_tile(kKeys, to.stage, next.tile, slice);
      copy_tile(kValues, to.stage, next.tile, slice);
    }
  }
  MASKERADE_DEVICE void copy_tile(Part part, int stage, std::int32_t tile, int slice) {
    std::uint64_t* const barrier = filled(part, stage);
    lane_.arrive_expecting(barrier, kTileBytes);
    MASKERADE_UNROLL
    for (int box = 0; box < kDim / TensorTiles::kBoxDim; ++box) {
      lane_.copy_box(stage_of(part, stage) + box * TensorTiles::kBoxBytes,
                     part == kKeys ? arguments_.keys : arguments_.values,
                     box * TensorTiles::kBoxDim, tile * kTileKeys, slice, barrier);
    }
  }

  // A warpgroup. It holds one tile while it looks for the next; no further than the ring reaches
  // then, which is not filled beyond before that one is released.
  MASKERADE_DEVICE void attend() {
    const RowBlockPairs pairs{plan_.layout};
    const auto [pair, split] = work(pairs);
    const std::int64_t row_block = pairs.row_block(pair, side_);
    if (row_block < 0) {
      find(kNoLimit);
      return;
    }
    const int warp = lane_.thread() % kGroupThreads / 32;
    rows_.start(lane_, arguments_.attend, plan_, row_block, 16 * warp,
                shared_ + kBiasesAt + (4 * side_ + warp) * TileRows<Lane>::kBiasBytes);
    load_queries();
    MASKERADE_UNROLL
    for (int n = 0; n < kDim / 8; ++n) {
      MASKERADE_UNROLL
      for (int e = 0; e < 4; ++e) out_[n][e] = 0;
    }
    float scores[kTileKeys / 8][4];
    float factors[2];
    Place held;
    Found found = find(kNoLimit);
    while (found != Found::kEnd) {
      lane_.fence_products();
      multiply_keys(scores);
      lane_.template wait_products<0>();
      lane_.settle(scores);
      weigh(scores, factors);
      lane_.wait(filled(kValues, next_.stage), next_.parity);
      held = take(scores, factors);
      found = find(held.number + kStages);
      while (found == Found::kTile) {
        lane_.fence_products();
        multiply_keys(scores);
        multiply_values(held);
        lane_.template wait_products<1>();
        lane_.settle(scores);
        weigh(scores, factors);
        lane_.settle(scores);
        // Rationale: here, since the compiler moves no part of the softmax past a loop; past the
        // wait for products it does, and they would be waited for without it.
        lane_.wait(filled(kValues, next_.stage), next_.parity);
        lane_.template wait_products<0>();
        lane_.settle(out_);
        lane_.settle(weights_);
        release(held.stage);
        held = take(scores, factors);
        found = find(held.number + kStages);
      }
      lane_.fence_products();
      multiply_values(held);
      lane_.template wait_products<0>();
      lane_.settle(out_);
      lane_.settle(weights_);
      release(held.stage);
      if (found == Found::kNotYet) found = find(kNoLimit);
    }
    softmax_.finish(lane_);
    for (int half = 0; half < 2; ++half) {
      if (!rows_.has_row(half)) continue;
      softmax_.store(
          lane_, half, out_,
          target_of(arguments_.attend, rows_.problem_row(half),
                    row_block * arguments_.attend.splits + split, rows_.row(half), kBlockRows));
    }
  }

  // Advances next_ to a tile that this row block lists, entry_; tiles on the way are released. Not
  // to places from `limit` on.
  MASKERADE_DEVICE Found find(int limit) {
    for (; next_.number < limit; next_.advance()) {
      lane_.wait(filled(kKeys, next_.stage), next_.parity);
      const Tile* const tile = tile_at(next_.stage);
      entry_ = {lane_.shuffle(tile->tile, 0), lane_.shuffle(tile->bits[side_], 0)};
      if (entry_.tile < 0) return Found::kEnd;
      if (entry_.bits != PairedTiles::kNotListed) return Found::kTile;
      release(next_.stage);
    }
    return Found::kNotYet;
  }
  MASKERADE_DEVICE void release(int stage) {
    lane_.sync_warp();
    if (lane_.in_warp() == 0) lane_.arrive(released(stage));
  }

  // 16 x 16 left operands, as of mma.m16n8k16: rows g and g + 8 of components 2 t, 2 t + 1 and
  // 2 t + 8, 2 t + 9. Rows that are not there are zeros.
  MASKERADE_DEVICE void load_queries() {
    const auto* const q = static_cast<const std::byte*>(arguments_.attend.q);
    MASKERADE_UNROLL
    for (int half = 0; half < 2; ++half) {
      const bool is_there = rows_.has_row(half);
      const std::byte* const row =
          q + (is_there ? rows_.problem_row(half) : 0) * kDim * 2 + 4 * (lane_.in_warp() & 3);
      MASKERADE_UNROLL
      for (int s = 0; s < kSteps; ++s) {
        queries_[s][half] = is_there ? lane_.load_word(row + 32 * s) : 0;
        queries_[s][2 + half] = is_there ? lane_.load_word(row + 32 * s + 16) : 0;
      }
    }
  }

  // A right operand in shared memory with the 128-byte swizzle; PTX ISA, matrix descriptors: eight
  // rows of a box are 1024 bytes. box_bytes: from one box to the next, where N goes across them; 16
  // where it is not used.
  MASKERADE_DEVICE std::uint64_t operand(const std::byte* first, int box_bytes) const {
    constexpr std::uint64_t kSwizzle128 = 1;
    return (lane_.shared_address(first) & 0x3FFFF) >> 4 |
           static_cast<std::uint64_t>(box_bytes >> 4) << 16 | std::uint64_t{1024 >> 4} << 32 |
           kSwizzle128 << 62;
  }
  // One group: scores = queries * keys of next_, 16 components at a time.
  MASKERADE_DEVICE void multiply_keys(float (&scores)[kTileKeys / 8][4]) {
    const std::uint64_t keys = operand(stage_of(kKeys, next_.stage), 16);
    MASKERADE_UNROLL
    for (int s = 0; s < kSteps; ++s) {
      const int offset = s / 4 * TensorTiles::kBoxBytes + s % 4 * 32;
      lane_.template multiply_group<kType, false>(scores, queries_[s], keys + (offset >> 4), s > 0);
    }
    lane_.commit_products();
  }
  // One group: out_ += weights_ * values, 16 keys at a time.
  MASKERADE_DEVICE void multiply_values(const Place& of) {
    const std::uint64_t values = operand(stage_of(kValues, of.stage), TensorTiles::kBoxBytes);
    MASKERADE_UNROLL
    for (int s = 0; s < kTileKeys / 16; ++s) {
      constexpr int kStepBytes = 16 * TensorTiles::kBoxDim * 2;
      lane_.template multiply_group<kType, true>(out_, weights_[s], values + (s * kStepBytes >> 4),
                                                 true);
    }
    lane_.commit_products();
  }

  MASKERADE_DEVICE void weigh(float (&scores)[kTileKeys / 8][4], float (&factors)[2]) {
    rows_.weigh(lane_, entry_, arguments_.attend.scale_log2, scores);
    softmax_.step(lane_, scores, factors);
  }
  // The weights of next_ are those to be multiplied next; gives its place.
  MASKERADE_DEVICE Place take(const float (&scores)[kTileKeys / 8][4], const float (&factors)[2]) {
    scale_rows(out_, factors);
    MASKERADE_UNROLL
    for (int s = 0; s < kTileKeys / 16; ++s) pack_weights<kType>(lane_, scores, s, weights_[s]);
    const Place taken = next_;
    next_.advance();
    return taken;
  }

  Lane& lane_;
  const Arguments& arguments_;
  const TilePlan& plan_;
  std::byte* shared_;
  // Of a warpgroup:
  int side_ = 0;
  TileRows<Lane> rows_;
  Place next_;
  TileEntry entry_;
  RowPair<Lane> softmax_;
  std::uint32_t queries_[kSteps][4];
  std::uint32_t weights_[kTileKeys / 16][4];
  float out_[kDim / 8][4];
};

}  // namespace maskerade::cuda
