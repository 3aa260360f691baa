// WarpgroupTilesKernel on an emulated block: tiles that the row blocks of a pair share, and next
// tiles that lie within the ring or beyond it.

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <set>
#include <vector>

#include "tests/attention/cuda/emulated_attention.hpp"

namespace maskerade::cuda {
namespace {

// Says whether all keys of a tile are active, by mask head, tile row and tile.
using IsActive = std::function<bool(std::int64_t, std::int64_t, std::int64_t)>;

// A mask of whole tiles.
Mask tile_mask(const Visibility& visibility, MaskExtent extent, const IsActive& is_active) {
  const std::int64_t queries = visibility.query_len();
  const std::int64_t keys = visibility.key_len();
  std::vector<float> weights(size(extent.batch * extent.heads * queries * keys));
  for (std::int64_t slice = 0; slice < extent.batch * extent.heads; ++slice) {
    for (std::int64_t query = 0; query < queries; ++query) {
      for (std::int64_t key = 0; key < keys; ++key) {
        weights[size((slice * queries + query) * keys + key)] =
            is_active(slice % extent.heads, query / 64, key / 64) ? 1.0F : 0.0F;
      }
    }
  }
  return from_dense(visibility, extent, weights);
}

struct WarpgroupCase {
  AttentionShape shape;
  DType dtype;
  bool causal = false;
  MaskExtent extent = {};
  std::int64_t splits = 1;
};

// Expects the kernel's result of a mask of whole tiles to be the oracle's, whatever the order in
// which warps run.
void expect_oracle_by_warpgroups(const WarpgroupCase& problem_case, const IsActive& is_active) {
  const DType dtype = problem_case.dtype;
  const RandomProblem problem(problem_case.shape, dtype, problem_case.causal, 5);
  const Mask mask = tile_mask(problem.inputs.visibility, problem_case.extent, is_active);
  const HostMask host(mask);
  const HostTilePlan plan(host, problem_case.shape, false, 4096);
  ASSERT_EQ(plan.overflow, 0);
  for (const unsigned seed : {1U, 2U}) {
    expect_oracle(problem.inputs, mask,
                  attend_tiles(problem.inputs, plan.plan,
                               {dtype, Family::kWarpgroups, problem_case.splits, seed}),
                  tolerance_of(dtype, Family::kWarpgroups));
  }
}

// One pair of row blocks: one head of two tile rows.
AttentionShape two_tile_rows(std::int64_t head_dim, std::int64_t key_tiles) {
  return {.query_len = 128, .key_len = 64 * key_tiles, .head_dim = head_dim};
}

// One row block lists few tiles, far apart; the tiles of the other, between them, fill the ring.
TEST(WarpgroupTiles, ARowBlockWaitsForATileThatTheRingDoesNotReachYet) {
  for (const std::int64_t head_dim : {64, 128}) {
    for (const bool is_first : {true, false}) {
      expect_oracle_by_warpgroups({two_tile_rows(head_dim, 24), DType::kBFloat16},
                                  [&](std::int64_t, std::int64_t row, std::int64_t tile) {
                                    return (tile % 11 == 0) == ((row == 0) == is_first);
                                  });
    }
  }
}

// The next tile of the first row block is 1 ... 10 tiles further on: within the ring, at its end,
// and beyond it.
TEST(WarpgroupTiles, EveryDistanceToTheNextTile) {
  expect_oracle_by_warpgroups({two_tile_rows(64, 56), DType::kFloat16},
                              [](std::int64_t, std::int64_t row, std::int64_t tile) {
                                const std::set<std::int64_t> first = {0,  1,  3,  6,  10, 15,
                                                                      21, 28, 36, 45, 55};
                                return row == 1 || first.contains(tile);
                              });
}

TEST(WarpgroupTiles, ARowBlockWithoutTilesBesideOneWithMany) {
  for (const std::int64_t empty : {0, 1}) {
    expect_oracle_by_warpgroups(
        {two_tile_rows(128, 13), DType::kFloat16},
        [&](std::int64_t, std::int64_t row, std::int64_t) { return row != empty; });
  }
}

// Each kv head has three heads of three tile rows that share one list: pairs are of two heads or of
// two tile rows, and the ninth row block is alone.
TEST(WarpgroupTiles, HeadsOfAGroupShareTilesAndTheLastRowBlockIsAlone) {
  const AttentionShape shape{
      .query_heads = 6, .kv_heads = 2, .query_len = 150, .key_len = 400, .head_dim = 64};
  for (const std::int64_t splits : {1, 3}) {
    expect_oracle_by_warpgroups({shape, DType::kBFloat16, true, {1, 2}, splits},
                                [](std::int64_t head, std::int64_t row, std::int64_t tile) {
                                  return (head + row + tile) % 3 != 0;
                                });
  }
}

TEST(RowBlockPairs, HoldEveryRowBlockOnceAndOneKvHeadEach) {
  for (const std::int64_t mask_heads : {1, 2, 6, 14}) {
    for (const std::int64_t query_len : {20, 64, 200}) {
      for (const std::int64_t group : {3, 7}) {
        const std::int64_t heads = 2 * group;
        if (mask_heads != 1 && mask_heads != 2 && mask_heads != heads) continue;
        MaskView mask;
        mask.heads = mask_heads;
        mask.query_len = query_len;
        const RowBlockPairs pairs{TileLayout::of(3, heads, 2, mask)};
        std::set<std::int64_t> seen;
        std::int64_t same_list = 0;
        for (std::int64_t pair = 0; pair < pairs.count(); ++pair) {
          const std::int64_t first = pairs.row_block(pair, 0);
          const std::int64_t second = pairs.row_block(pair, 1);
          ASSERT_GE(first, 0);
          EXPECT_TRUE(seen.insert(first).second);
          if (second < 0) continue;
          EXPECT_TRUE(seen.insert(second).second);
          const TileLayout::RowBlock first_block = pairs.layout.row_block_at(first);
          const TileLayout::RowBlock second_block = pairs.layout.row_block_at(second);
          EXPECT_EQ(first_block.batch, second_block.batch);
          EXPECT_EQ(first_block.kv_head, second_block.kv_head);
          same_list += pairs.layout.piece_of(first) == pairs.layout.piece_of(second) ? 1 : 0;
        }
        EXPECT_EQ(std::ssize(seen), pairs.layout.row_blocks());
        // Where heads share a list, at least group / 2 - 1 pairs of each tile row of the six kv
        // heads are of one list.
        if (mask_heads < heads && query_len > 64) {
          EXPECT_GE(same_list, 6 * pairs.layout.tile_rows() * (group / 2 - 1));
        }
      }
    }
  }
}

TEST(PairedTiles, ListsATileOfBothOnce) {
  const std::vector<TileEntry> entries = {{1, -1}, {4, 7}, {9, -1}, {0, 3},
                                          {4, -1}, {9, 8}, {12, -2}};
  PairedTiles tiles(entries.data());
  tiles.ranges[0] = {0, 3};
  tiles.ranges[1] = {3, 7};
  constexpr std::int32_t kNot = PairedTiles::kNotListed;
  const std::int32_t expected[][3] = {
      {0, kNot, 3}, {1, -1, kNot}, {4, 7, -1}, {9, -1, 8}, {12, kNot, -2}};
  std::int32_t bits[2];
  for (const auto& [tile, first, second] : expected) {
    EXPECT_EQ(tiles.next(bits), tile);
    EXPECT_EQ(bits[0], first);
    EXPECT_EQ(bits[1], second);
  }
  EXPECT_EQ(tiles.next(bits), -1);
}

TEST(TensorTiles, WhatTheCopyEngineDoesNotTakeIsNotEncodable) {
  alignas(16) static const std::byte data[32] = {};
  EXPECT_TRUE(TensorTiles::of(data, 3, 100, 100, 128).is_encodable());
  EXPECT_FALSE(TensorTiles::of(data + 8, 3, 100, 100, 128).is_encodable());
  EXPECT_FALSE(TensorTiles::of(data, 3, 100, 100, 80).is_encodable());
  EXPECT_FALSE(
      TensorTiles::of(data, 3, std::int64_t{1} << 33, std::int64_t{1} << 33, 64).is_encodable());
}

}  // namespace
}  // namespace maskerade::cuda
