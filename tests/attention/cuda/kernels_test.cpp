// The kernels of the CUDA backend on an emulated block against the float64 oracle. They test index
// arithmetic, fragment layouts, masking, the online softmax and the merging of parts.

#include <gtest/gtest.h>

#include <random>

#include "tests/attention/cuda/emulated_attention.hpp"

namespace maskerade::cuda {
namespace {

TEST(CudaKernels, EveryKernelEqualsTheOracleOverRandomProblems) {
  std::mt19937 engine(7);
  const auto pick = [&](std::initializer_list<std::int64_t> values) {
    return *(values.begin() + engine() % values.size());
  };
  for (unsigned trial = 0; trial < 24; ++trial) {
    AttentionShape shape;
    const std::int64_t group = pick({1, 3, 4, 18});
    shape.batch = pick({1, 2});
    shape.kv_heads = group == 18 ? 1 : pick({1, 2});
    shape.query_heads = shape.kv_heads * group;
    shape.query_len = group == 18 ? pick({1, 5}) : pick({1, 2, 17, 64, 65});
    shape.key_len = pick({1, 63, 64, 65, 200, 333});
    const bool is_matrix = trial % 2 == 0;
    shape.head_dim = is_matrix ? pick({64, 128}) : pick({20, 32, 80, 256});
    const bool causal = shape.query_len <= shape.key_len && engine() % 2 == 0;
    const DType dtype =
        is_matrix ? static_cast<DType>(1 + trial / 2 % 2) : static_cast<DType>(trial / 2 % 3);
    const RandomProblem problem(shape, dtype, causal, trial);
    const MaskExtent extent{pick({1, shape.batch}), pick({1, shape.kv_heads, shape.query_heads})};
    const RandomMaskOptions options{.tiles = static_cast<double>(engine() % 3) * 0.4,
                                    .keys = static_cast<double>(engine() % 3) * 0.15,
                                    .sampled = engine() % 2 == 0};
    const Mask mask = trial % 8 == 0
                          ? Mask::full(problem.inputs.visibility, extent)
                          : random_mask(problem.inputs.visibility, extent, options, trial);
    const HostMask host(mask);
    const std::int64_t splits = pick({1, 1, 2, 5});
    const Family family = is_matrix ? Family::kMatrix : Family::kPlain;
    SCOPED_TRACE(::testing::Message()
                 << "trial " << trial << " " << shape.to_string() << " " << name_of(dtype)
                 << " causal " << causal << " extent " << extent.batch << " " << extent.heads
                 << " splits " << splits << " sampled " << mask.has_sampled());
    for (const bool is_dense : {false, true}) {
      SCOPED_TRACE(is_dense ? "dense" : "tiles");
      const HostTilePlan tiles(host, shape, is_dense, 4096);
      ASSERT_EQ(tiles.overflow, 0);
      expect_oracle(problem.inputs, mask,
                    attend_tiles(problem.inputs, tiles.plan, {dtype, family, splits, trial}),
                    tolerance_of(dtype, family));
      if (!is_matrix) continue;
      SCOPED_TRACE("by warpgroups");
      expect_oracle(
          problem.inputs, mask,
          attend_tiles(problem.inputs, tiles.plan, {dtype, Family::kWarpgroups, splits, trial}),
          tolerance_of(dtype, Family::kWarpgroups));
    }
    SCOPED_TRACE("rows");
    const HostRowPlan rows(host, shape, pick({1, 2, 64}), shape.rows() * shape.key_len);
    ASSERT_EQ(rows.overflow, 0);
    expect_oracle(problem.inputs, mask,
                  attend_rows(problem.inputs, rows.plan, {dtype, family, splits, trial}),
                  tolerance_of(dtype, family));
    if (HasFailure()) break;
  }
}

TEST(CudaKernels, AnOverflowedPlanIsFlaggedAndAttendsToNothing) {
  const AttentionShape shape{.query_len = 70, .key_len = 200, .head_dim = 64};
  const RandomProblem problem(shape, DType::kFloat16, false, 1);
  const Mask mask = Mask::full(problem.inputs.visibility);
  const HostMask host(mask);
  const HostTilePlan tiles(host, shape, false, 7);  // needs room for 8 tiles
  EXPECT_EQ(tiles.overflow, 1);
  for (const Family family : {Family::kMatrix, Family::kWarpgroups}) {
    const AttentionOutput by_tiles =
        attend_tiles(problem.inputs, tiles.plan, {DType::kFloat16, family, 1, 1});
    for (const float lse : by_tiles.lse) EXPECT_EQ(lse, kNoKeys);
  }
  const HostRowPlan rows(host, shape, 2, 70 * 200 - 1);
  EXPECT_EQ(rows.overflow, 1);
  const AttentionOutput by_rows =
      attend_rows(problem.inputs, rows.plan, {DType::kFloat16, Family::kMatrix, 1, 1});
  for (const float value : by_rows.out) EXPECT_EQ(value, 0);
}

}  // namespace
}  // namespace maskerade::cuda
