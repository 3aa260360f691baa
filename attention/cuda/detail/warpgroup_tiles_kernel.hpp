#pragma once

#include "attention/cuda/detail/attend_arguments.hpp"
#include "attention/cuda/detail/row_block_pairs.hpp"
#include "attention/cuda/detail/row_pair.hpp"
#include "attention/cuda/detail/tensor_tiles.hpp"
#include "attention/cuda/detail/tile_plan.hpp"
#include "attention/cuda/detail/tile_rows.hpp"

namespace maskerade::cuda {

// The arguments of WarpgroupTilesKernel.
template <typename TensorMap>
struct WarpgroupTilesArguments {
  AttendArguments attend;
  TensorMap keys;    // key_tiles(), as the lane's copy engine takes them
  TensorMap values;  // value_tiles(), likewise
};

// Attention over the tiles of a tile plan, float16 or bfloat16, by matrix products of warpgroups. A
// block computes one part of a pair of row blocks (RowBlockPairs). Of its three warpgroups, one has
// a single thread that lets the copy engine bring K and V of the tiles that the pair lists into a
// ring of stages in shared memory. The two others compute a row block each and wait for the ring
// alone. The product of queries and keys of a tile is under way together with the product of
// weights and values of the tile before, and the softmax of the tile runs beside the latter.
//
// Rationale for pairs: a tile of 64 keys and 64 rows takes 4 * 64 * 64 * head_dim flop over
// 4 * 64 * head_dim bytes of K and V, 64 flop for each byte from the second-level cache; where both
// row blocks list the tile it is 128. Rationale for queries in registers: shared memory moves 128
// bytes in a clock. A 64 x 64 x 128 tile takes 32 KiB of writes by the copy engine and 32 KiB of
// reads by the products, together 512 clocks, as long as its products at 4096 flop a clock; queries
// in shared memory would add 16 KiB of reads. A tile that two row blocks share is written once: 768
// clocks of 1024.
template <typename Lane, DType kType, int kDim>
class WarpgroupTilesKernel {
 public:
  using Arguments = WarpgroupTilesArguments<typename Lane::TensorMap>;
  static constexpr int kGroupThreads = 128;
  static constexpr int kThreads = 3 * kGroupThreads;  // the copying warpgroup is the first
  static constexpr int kBlocksPerMultiprocessor = 1;
  static constexpr int kTileBytes = kTileKeys * kDim * 2;
  static constexpr int kStages = kDim <= 64 ? 8 : 5;  // each holds K and V of one tile
  // Registers of a thread. A block starts with 65536 / kThreads for each, rounded down to a
  // multiple of 8; the copying warpgroup gives what it does not need to the others.
  static constexpr int kCopyRegisters = 40;
  static constexpr int kProductRegisters = 232;
  // Shared memory holds the stages, their barriers and tiles, the biases where the mask has sampled
  // keys, and room to align the first stage.
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

  // The block's number is pair * splits + split, counted from the last one down. Rationale: later
  // queries see more keys, and long work should start first.
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
    // Rationale for the shuffle: the compiler then sees that all lanes of a warp take the same
    // branch.
    const int group = lane_.shuffle(lane_.thread() / kGroupThreads, 0);
    if (group == 0) {
      PairedTiles tiles(plan_.arrays.entries);
      const int slice = find_tiles(tiles);
      // Rationale: registers are given only now, since the divisions in find_tiles() take many.
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
  // Which tile a stage holds. The copying thread writes it before the stage's keys arrive.
  struct Tile {
    std::int32_t tile;     // -1: there are no more tiles
    std::int32_t bits[2];  // see PairedTiles::next()
  };
  // A point in the sequence of tiles that go through the ring.
  struct RingCursor {
    int number = 0;  // in the sequence
    int stage = 0;   // number % kStages
    int parity = 0;  // number / kStages % 2, that of the barriers' phase

    MASKERADE_DEVICE void advance() {
      ++number;
      ++stage;
      if (stage == kStages) {
        stage = 0;
        parity ^= 1;
      }
    }
  };
  // What find() came to.
  enum class SearchResult {
    kTile,   // a tile that the row block lists
    kEnd,    // the end of the tiles
    kLimit,  // the limit, without a tile
  };

  static constexpr int kAlignment = 1024;  // bytes, the period of the swizzle
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

  // Where the keys or the values of a stage lie.
  MASKERADE_DEVICE std::byte* stage_of(Part part, int stage) const {
    return shared_ + (2 * stage + part) * kTileBytes;
  }
  // The barrier whose phase ends when the stage's keys, or values, have arrived.
  MASKERADE_DEVICE std::uint64_t* filled(Part part, int stage) const {
    return reinterpret_cast<std::uint64_t*>(shared_ + kBarriersAt) + 3 * stage + part;
  }
  // The barrier whose phase ends when both warpgroups have released the stage: they have read it,
  // or their row block does not list its tile. Rationale: there is one for keys and values
  // together; with two, a warpgroup that passes tiles by could be a round ahead of the values'
  // barrier.
  MASKERADE_DEVICE std::uint64_t* released(int stage) const { return filled(kKeys, stage) + 2; }
  MASKERADE_DEVICE Tile* tile_at(int stage) const {
    return reinterpret_cast<Tile*>(shared_ + kTilesAt) + stage;
  }

  // What this block computes: a part of the keys of a pair of row blocks.
  struct Work {
    std::int64_t pair;
    std::int64_t split;
  };
  MASKERADE_DEVICE Work work(const RowBlockPairs& pairs) const {
    const std::int64_t splits = arguments_.attend.splits;
    const std::int64_t part = pairs.count() * splits - 1 - lane_.block();
    return {part / splits, part % splits};
  }

  // Sets `tiles` to the tiles that the pair's row blocks list in this part; returns the pair's
  // slice of k and v, batch * kv_heads + kv_head.
  MASKERADE_DEVICE int find_tiles(PairedTiles& tiles) const {
    const RowBlockPairs pairs{plan_.layout};
    const auto [pair, split] = work(pairs);
    for (int side = 0; side < 2; ++side) {
      const std::int64_t row_block = pairs.row_block(pair, side);
      if (row_block < 0) continue;
      tiles.ranges[side] =
          plan_.entries_of(plan_.layout.piece_of(row_block)).split(split, arguments_.attend.splits);
    }
    const TileLayout::RowBlock block = plan_.layout.row_block_at(pairs.row_block(pair, 0));
    return static_cast<int>(block.batch * plan_.layout.kv_heads + block.kv_head);
  }
  // What the copying thread does: fills the stages of the ring in turn, and says when there are no
  // more tiles.
  MASKERADE_DEVICE void copy_tiles(PairedTiles& tiles, int slice) {
    lane_.prefetch(arguments_.keys);
    lane_.prefetch(arguments_.values);
    RingCursor to;
    Tile next;
    for (;; to.advance()) {
      next.tile = tiles.next(next.bits);
      // In the first round the stages are free: a barrier's phase before its first counts as ended.
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
  // Starts the copies of a tile's keys or values, box by box.
  MASKERADE_DEVICE void copy_tile(Part part, int stage, std::int32_t tile, int slice) {
    std::uint64_t* const barrier = filled(part, stage);
    lane_.arrive_expecting(barrier, kTileBytes);
    MASKERADE_UNROLL
    for (int box = 0; box < kDim / TensorTiles::kBoxDim; ++box) {
      lane_.copy_box(stage_of(part, stage) + box * TensorTiles::kBoxBytes,
                     part == kKeys ? arguments_.keys : arguments_.values,
                     {box * TensorTiles::kBoxDim, tile * kTileKeys, slice}, barrier);
    }
  }

  // What a computing warpgroup does. It holds one tile unreleased while it looks for the next, and
  // looks no further than kStages tiles: the ring is not filled beyond them until the held tile is
  // released.
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
    RingCursor held;
    SearchResult found = find(kNoLimit);
    while (found != SearchResult::kEnd) {
      lane_.fence_products();
      multiply_keys(scores);
      lane_.template wait_products<0>();
      lane_.settle(scores);
      weigh(scores, factors);
      lane_.wait(filled(kValues, next_.stage), next_.parity);
      held = take(scores, factors);
      found = find(held.number + kStages);
      while (found == SearchResult::kTile) {
        lane_.fence_products();
        multiply_keys(scores);
        multiply_values(held);
        lane_.template wait_products<1>();
        lane_.settle(scores);
        weigh(scores, factors);
        lane_.settle(scores);
        // Rationale for waiting here: the compiler moves no part of the softmax past this wait,
        // which is a loop. It would move some past the wait for products, and these would then be
        // waited for before the softmax is done.
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
      if (found == SearchResult::kLimit) found = find(kNoLimit);
    }
    softmax_.finish(lane_);
    for (int half = 0; half < 2; ++half) {
      if (!rows_.has_row(half)) continue;
      softmax_.store(lane_, half, out_,
                     target_of(arguments_.attend, {rows_.problem_row(half),
                                                   row_block * arguments_.attend.splits + split,
                                                   rows_.row(half), kBlockRows}));
    }
  }

  // Advances next_ to the next tile that this row block lists and sets entry_ to its entry;
  // releases the tiles on the way. Stops at number `limit` of the sequence.
  MASKERADE_DEVICE SearchResult find(int limit) {
    for (; next_.number < limit; next_.advance()) {
      lane_.wait(filled(kKeys, next_.stage), next_.parity);
      const Tile* const tile = tile_at(next_.stage);
      entry_ = {lane_.shuffle(tile->tile, 0), lane_.shuffle(tile->bits[side_], 0)};
      if (entry_.tile < 0) return SearchResult::kEnd;
      if (entry_.bits != PairedTiles::kNotListed) return SearchResult::kTile;
      release(next_.stage);
    }
    return SearchResult::kLimit;
  }
  // Says that this warp needs the stage no more.
  MASKERADE_DEVICE void release(int stage) {
    lane_.sync_warp();
    if (lane_.in_warp() == 0) lane_.arrive(released(stage));
  }

  // Loads the rows of q as left operands of 16 components each, with the fragments of mma.m16n8k16:
  // rows g and g + 8, components 2 t, 2 t + 1 and 2 t + 8, 2 t + 9. Rows that the row block lacks
  // are zeros.
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

  // The matrix descriptor (PTX ISA) of a right operand that begins at `first` in shared memory, in
  // boxes with the 128-byte swizzle, of which eight rows are 1024 bytes. box_bytes: from one box to
  // the next, where the operand's columns extend over several; 16 where it is not used.
  MASKERADE_DEVICE std::uint64_t operand(const std::byte* first, int box_bytes) const {
    constexpr std::uint64_t kSwizzle128 = 1;
    return (lane_.shared_address(first) & 0x3FFFF) >> 4 |
           static_cast<std::uint64_t>(box_bytes >> 4) << 16 | std::uint64_t{1024 >> 4} << 32 |
           kSwizzle128 << 62;
  }
  // Starts scores = queries * keys of the tile at next_, as one group of products of 16 components.
  MASKERADE_DEVICE void multiply_keys(float (&scores)[kTileKeys / 8][4]) {
    const std::uint64_t keys = operand(stage_of(kKeys, next_.stage), 16);
    MASKERADE_UNROLL
    for (int s = 0; s < kSteps; ++s) {
      const int offset = s / 4 * TensorTiles::kBoxBytes + s % 4 * 32;
      lane_.template multiply_group<kType, false>(scores, queries_[s], keys + (offset >> 4), s > 0);
    }
    lane_.commit_products();
  }
  // Starts out_ += weights_ * values of the tile at `of`, as one group of products of 16 keys.
  MASKERADE_DEVICE void multiply_values(const RingCursor& of) {
    const std::uint64_t values = operand(stage_of(kValues, of.stage), TensorTiles::kBoxBytes);
    MASKERADE_UNROLL
    for (int s = 0; s < kTileKeys / 16; ++s) {
      constexpr int kStepBytes = 16 * TensorTiles::kBoxDim * 2;
      lane_.template multiply_group<kType, true>(out_, weights_[s], values + (s * kStepBytes >> 4),
                                                 true);
    }
    lane_.commit_products();
  }

  // Turns the scores of entry_ into weights; factors: see RowPair::step().
  MASKERADE_DEVICE void weigh(float (&scores)[kTileKeys / 8][4], float (&factors)[2]) {
    rows_.weigh(lane_, entry_, arguments_.attend.scale_log2, scores);
    softmax_.step(lane_, scores, factors);
  }
  // Makes the weights of the tile at next_ the left operand of multiply_values(), scales out_ to
  // them and advances next_. Returns where the tile is.
  MASKERADE_DEVICE RingCursor take(const float (&scores)[kTileKeys / 8][4],
                                   const float (&factors)[2]) {
    scale_rows(out_, factors);
    MASKERADE_UNROLL
    for (int s = 0; s < kTileKeys / 16; ++s) pack_weights<kType>(lane_, scores, s, weights_[s]);
    const RingCursor taken = next_;
    next_.advance();
    return taken;
  }

  Lane& lane_;
  const Arguments& arguments_;
  const TilePlan& plan_;
  std::byte* shared_;
  // State of a computing warpgroup.
  int side_ = 0;  // of the pair: its row block
  TileRows<Lane> rows_;
  RingCursor next_;  // the tile in work, or the next to look at
  TileEntry entry_;  // of the tile at next_
  RowPair<Lane> softmax_;
  std::uint32_t queries_[kSteps][4];          // left operands of 16 components
  std::uint32_t weights_[kTileKeys / 16][4];  // left operands of 16 keys
  float out_[kDim / 8][4];                    // sums of weighted values
};

}  // namespace maskerade::cuda
