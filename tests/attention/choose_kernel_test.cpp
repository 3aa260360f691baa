#include <gtest/gtest.h>

#include "attention/plan.hpp"
#include "tests/attention/random_problem.hpp"

namespace maskerade {
namespace {

AttentionShape prefill() {
  return {.query_heads = 2, .kv_heads = 1, .query_len = 512, .key_len = 512, .head_dim = 64};
}

TEST(ChooseKernel, DenseWhenEverythingIsActive) {
  EXPECT_EQ(choose_kernel(Mask::full(Visibility::causal(512, 512)), prefill()), Kernel::kDense);
  const AttentionShape decode{.query_heads = 2, .kv_heads = 1, .key_len = 512, .head_dim = 64};
  EXPECT_EQ(choose_kernel(Mask::full(Visibility::causal(1, 512)), decode), Kernel::kDense);
}

TEST(ChooseKernel, TilesForBlockPatterns) {
  BlockMask blocks{
      .block = 64, .query_blocks = 8, .key_blocks = 8, .active = std::vector<std::uint8_t>(64)};
  for (std::size_t i = 0; i < 8; ++i) blocks.active[i * 8 + (i * 3) % 8] = 1;
  const Mask mask = from_blocks(Visibility::all(512, 512), {}, blocks);
  EXPECT_EQ(choose_kernel(mask, prefill()), Kernel::kTiles);
}

TEST(ChooseKernel, RowsForScatteredKeys) {
  const Visibility visibility = Visibility::all(512, 512);
  const Mask mask = random_mask(visibility, {}, {.tiles = 0, .keys = 0.01, .empty = 0}, 1);
  EXPECT_EQ(choose_kernel(mask, prefill()), Kernel::kRows);
  const AttentionShape decode{.query_heads = 2, .kv_heads = 1, .key_len = 4096, .head_dim = 64};
  const Mask sampled = random_mask(Visibility::all(1, 4096), {1, 2},
                                   {.tiles = 0, .keys = 0.1, .empty = 0, .sampled = true}, 2);
  EXPECT_EQ(choose_kernel(sampled, decode), Kernel::kRows);
}

TEST(ChooseKernel, AnEmptyMaskHasAKernel) {
  EXPECT_NO_THROW(choose_kernel(Mask::empty(Visibility::all(512, 512)), prefill()));
}

}  // namespace
}  // namespace maskerade
