#include <gtest/gtest.h>

#include <string>

#include "attention/cpu/cpu_plan.hpp"
#include "tests/attention/random_problem.hpp"

namespace maskerade {
namespace {

AttentionShape prefill() {
  return {.query_heads = 2, .kv_heads = 1, .query_len = 512, .key_len = 512, .head_dim = 64};
}

std::string chosen(const Mask& mask, const AttentionShape& shape) {
  return make_cpu_plan(mask, shape, std::nullopt, Threads(2)).kernel_mix();
}

// The diagonal tiles of 512 x 512, whole.
BlockMask diagonal() {
  BlockMask blocks{
      .block = 64, .query_blocks = 8, .key_blocks = 8, .active = std::vector<std::uint8_t>(64)};
  for (std::size_t i = 0; i < 8; ++i) blocks.active[i * 8 + (i * 3) % 8] = 1;
  return blocks;
}

TEST(KernelChoice, DenseWhenEverythingIsActive) {
  EXPECT_EQ(chosen(Mask::full(Visibility::causal(512, 512)), prefill()), "dense");
  const AttentionShape decode{.query_heads = 2, .kv_heads = 1, .key_len = 512, .head_dim = 64};
  EXPECT_EQ(chosen(Mask::full(Visibility::causal(1, 512)), decode), "dense");
}

TEST(KernelChoice, TilesForBlockPatterns) {
  EXPECT_EQ(chosen(from_blocks(Visibility::all(512, 512), {}, diagonal()), prefill()), "tiles");
}

TEST(KernelChoice, RowsForScatteredKeys) {
  const Visibility visibility = Visibility::all(512, 512);
  const Mask mask = random_mask(visibility, {}, {.tiles = 0, .keys = 0.01, .empty = 0}, 1);
  EXPECT_EQ(chosen(mask, prefill()), "rows");
  const AttentionShape decode{.query_heads = 2, .kv_heads = 1, .key_len = 4096, .head_dim = 64};
  const Mask sampled = random_mask(Visibility::all(1, 4096), {1, 2},
                                   {.tiles = 0, .keys = 0.1, .empty = 0, .sampled = true}, 2);
  EXPECT_EQ(chosen(sampled, decode), "rows");
}

TEST(KernelChoice, ARunOfKeysIsFarAwayOnlyOnce) {
  CostModel costs = CostModel::defaults();
  costs.of(DType::kFloat32).decode = {.component = 1, .gathered_component = 10};
  const AttentionShape decode{.query_heads = 1, .kv_heads = 1, .key_len = 512, .head_dim = 64};
  const auto chosen_for = [&](std::size_t stride) {
    std::vector<float> weights(512);
    // 100 keys that touch as many tiles as they can.
    for (std::size_t i = 0; i < 100; ++i) weights[50 + i * stride] = 1;
    return make_cpu_plan(from_dense(Visibility::all(1, 512), {}, weights), decode, std::nullopt,
                         DType::kFloat32, costs, Threads(1))
        .kernel_mix();
  };
  EXPECT_EQ(chosen_for(1), "rows");
  EXPECT_NE(chosen_for(4), "rows");
}

TEST(KernelChoice, IsMadeForEachTileRow) {
  // The first tile row sees every key, two have whole tiles, the rest one key a row.
  std::vector<float> weights(512 * 512);
  for (std::size_t i = 0; i < 512; ++i) {
    for (std::size_t j = 0; j < 512; ++j) {
      const bool whole_tile = j / 64 == 3 && i < 192;
      weights[i * 512 + j] = i < 64 || whole_tile || j == (i * 37) % 512 ? 1.0F : 0.0F;
    }
  }
  for (std::size_t i = 64; i < 192; ++i) weights[i * 512 + (i * 37) % 512] = 0;
  const Mask mask = from_dense(Visibility::all(512, 512), {}, weights);
  const CpuPlan plan = make_cpu_plan(mask, prefill(), std::nullopt, Threads(1));
  for (const RowBlock& rows : plan.row_blocks) {
    const Walk expected = rows.first_query < 64    ? Walk::kDense
                          : rows.first_query < 192 ? Walk::kTiles
                                                   : Walk::kRows;
    EXPECT_EQ(name_of(rows.walk), name_of(expected)) << "query " << rows.first_query;
  }
  EXPECT_NE(plan.kernel_mix().find(", "), std::string::npos) << plan.kernel_mix();
}

TEST(KernelChoice, FollowsTheCosts) {
  const Mask mask =
      random_mask(Visibility::all(512, 512), {}, {.tiles = 0, .keys = 0.01, .empty = 0}, 1);
  CostModel costs = CostModel::defaults();
  const auto mix = [&] {
    return make_cpu_plan(mask, prefill(), std::nullopt, DType::kBFloat16, costs, Threads(1))
        .kernel_mix();
  };
  EXPECT_EQ(mix(), "rows");
  costs.of(DType::kFloat32).few_rows.gathered_component = 1e6;
  costs.of(DType::kFloat32).many_rows.gathered_component = 1e6;
  EXPECT_EQ(mix(), "rows") << "those of another dtype";
  costs.of(DType::kBFloat16) = costs.of(DType::kFloat32);
  EXPECT_EQ(mix(), "dense") << "every tile is touched";
}

TEST(KernelChoice, AnEmptyMaskHasAPlan) {
  const CpuPlan plan =
      make_cpu_plan(Mask::empty(Visibility::all(512, 512)), prefill(), std::nullopt, Threads(1));
  EXPECT_TRUE(plan.key_blocks.empty());
  EXPECT_FALSE(plan.row_blocks.empty());
}

TEST(CostModel, IsLinearInWhatABlockReadsAndComputes) {
  CostModel model = CostModel::defaults();
  model.of(DType::kFloat32).few_rows = {.row_block = 1,
                                        .component = 2,
                                        .gathered_component = 3,
                                        .entry = 5,
                                        .masked_entry = 7,
                                        .product = 11};
  const BlockWork work{.rows = 8, .keys = 10, .gathered_keys = 4, .masked_keys = 6};
  EXPECT_DOUBLE_EQ(model.block_ns(DType::kFloat32, 16, work),
                   1 + 16 * (6 * 2 + 4 * 3) + 8 * (10 * (5 + 16 * 11) + 6 * 7));
  model.of(DType::kFloat32).many_rows.row_block = 13;
  EXPECT_DOUBLE_EQ(model.block_ns(DType::kFloat32, 16, {.rows = kFewRows}), 1);
  EXPECT_DOUBLE_EQ(model.block_ns(DType::kFloat32, 16, {.rows = kFewRows + 1}), 13);
}

}  // namespace
}  // namespace maskerade
