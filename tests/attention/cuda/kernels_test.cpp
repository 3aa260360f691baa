// The kernels of the CUDA backend on an emulated block, against the float64 oracle: index
// arithmetic, fragment layouts, masking, the online softmax and the merging of parts.

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>

#include "attention/attention_output.hpp"
#include "attention/reference/oracle.hpp"
#include "tests/attention/cuda/host_plan.hpp"
#include "tests/attention/cuda/run_kernels.hpp"
#include "tests/attention/random_problem.hpp"

namespace maskerade::cuda {
namespace {

constexpr float kPoison = 12345.0F;

// Arguments over poisoned outputs.
struct Attention {
  Attention(const AttentionInputs& inputs, std::int64_t splits, std::int64_t part_rows) {
    const AttentionShape& shape = inputs.shape;
    output.out.assign(size(shape.rows() * shape.head_dim), kPoison);
    output.lse.assign(size(shape.rows()), kPoison);
    parts.assign(size(splits * part_rows * shape.head_dim), kPoison);
    tops.assign(size(splits * part_rows), kPoison);
    sums.assign(size(splits * part_rows), kPoison);
    arguments = {.q = inputs.q.data,
                 .k = inputs.k.data,
                 .v = inputs.v.data,
                 .kv_heads = shape.kv_heads,
                 .key_len = shape.key_len,
                 .head_dim = shape.head_dim,
                 .scale_log2 = inputs.scale * 1.44269504F,
                 .out = output.out.data(),
                 .lse = output.lse.data(),
                 .splits = splits,
                 .part_out = parts.data(),
                 .part_top = tops.data(),
                 .part_sum = sums.data()};
  }

  AttentionOutput output;
  std::vector<float> parts;
  std::vector<float> tops;
  std::vector<float> sums;
  AttendArguments arguments;
};

enum class Family { kMatrix, kPlain };

AttentionOutput attend_tiles(const AttentionInputs& inputs,
                             const TilePlan& plan,
                             DType dtype,
                             Family family,
                             std::int64_t splits,
                             unsigned seed) {
  Attention attention(inputs, splits, plan.layout.row_blocks() * kBlockRows);
  if (family == Family::kPlain) {
    emulate_plain<TileRowKeys>(attention.arguments, plan, dtype, seed);
  } else {
    emulate_tiles(attention.arguments, plan, dtype, seed);
  }
  if (splits > 1) emulate_merge(attention.arguments, plan.layout, kBlockRows);
  return std::move(attention.output);
}

AttentionOutput attend_rows(const AttentionInputs& inputs,
                            const RowPlan& plan,
                            DType dtype,
                            Family family,
                            std::int64_t splits,
                            unsigned seed) {
  Attention attention(inputs, splits, plan.layout.row_blocks() * kListRows);
  if (family == Family::kPlain) {
    emulate_plain<ListedRowKeys>(attention.arguments, plan, dtype, seed);
  } else {
    emulate_rows(attention.arguments, plan, dtype, seed);
  }
  if (splits > 1) emulate_merge(attention.arguments, plan.layout, kListRows);
  return std::move(attention.output);
}

double tolerance_of(DType dtype, Family family) {
  if (family == Family::kPlain) return 1e-5;
  return dtype == DType::kFloat16 ? 2e-3 : 1e-2;
}

void expect_oracle(const AttentionInputs& inputs,
                   const Mask& mask,
                   const AttentionOutput& output,
                   double tolerance) {
  const AttentionShape& shape = inputs.shape;
  double worst = 0;
  double worst_lse = 0;
  std::size_t row = 0;
  for (std::int64_t b = 0; b < shape.batch; ++b) {
    for (std::int64_t h = 0; h < shape.query_heads; ++h) {
      for (std::int64_t i = 0; i < shape.query_len; ++i, ++row) {
        const OracleRow oracle = oracle_row(inputs, mask, b, h, i);
        worst = std::max(worst, row_error(oracle, output.out.data() + row * size(shape.head_dim)));
        if (std::isinf(oracle.lse)) {
          ASSERT_EQ(output.lse[row], kNoKeys) << row;
          ASSERT_EQ(output.out[row * size(shape.head_dim)], 0) << row;
        } else {
          worst_lse = std::max(worst_lse, std::abs(oracle.lse - output.lse[row]));
        }
      }
    }
  }
  EXPECT_LE(worst, tolerance);
  EXPECT_LE(worst_lse, 1e-4);
}

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
                    attend_tiles(problem.inputs, tiles.plan, dtype, family, splits, trial),
                    tolerance_of(dtype, family));
    }
    SCOPED_TRACE("rows");
    const HostRowPlan rows(host, shape, pick({1, 2, 64}), shape.rows() * shape.key_len);
    ASSERT_EQ(rows.overflow, 0);
    expect_oracle(problem.inputs, mask,
                  attend_rows(problem.inputs, rows.plan, dtype, family, splits, trial),
                  tolerance_of(dtype, family));
    if (HasFailure()) break;
  }
}

TEST(CudaKernels, AnOverflowedPlanIsFlaggedAndAttendsToNothing) {
  const AttentionShape shape{.query_len = 70, .key_len = 200, .head_dim = 64};
  const RandomProblem problem(shape, DType::kFloat16, false, 1);
  const Mask mask = Mask::full(problem.inputs.visibility);
  const HostMask host(mask);
  const HostTilePlan tiles(host, shape, false, 7);  // of 8
  EXPECT_EQ(tiles.overflow, 1);
  const AttentionOutput by_tiles =
      attend_tiles(problem.inputs, tiles.plan, DType::kFloat16, Family::kMatrix, 1, 1);
  for (const float lse : by_tiles.lse) EXPECT_EQ(lse, kNoKeys);
  const HostRowPlan rows(host, shape, 2, 70 * 200 - 1);
  EXPECT_EQ(rows.overflow, 1);
  const AttentionOutput by_rows =
      attend_rows(problem.inputs, rows.plan, DType::kFloat16, Family::kMatrix, 1, 1);
  for (const float value : by_rows.out) EXPECT_EQ(value, 0);
}

}  // namespace
}  // namespace maskerade::cuda
