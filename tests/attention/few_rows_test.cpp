#include "attention/cpu/detail/few_rows.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "attention/cpu/attend.hpp"
#include "attention/cpu/detail/few_rows_kernel.hpp"
#include "attention/cpu/detail/softmax_kernel.hpp"
#include "experiments/rules/kernel_rules.hpp"
#include "experiments/rules/random_problem.hpp"
#include "tests/experiments/rules/expect_rule.hpp"
#include "tests/framework/select/each_target.hpp"

namespace maskerade {
namespace {

using rules::check_output;
using rules::holds;
using rules::random_mask;
using rules::RandomMaskOptions;
using rules::RandomProblem;

constexpr DType kDTypes[] = {DType::kFloat32, DType::kFloat16, DType::kBFloat16};
constexpr Walk kKernels[] = {Walk::kDense, Walk::kTiles, Walk::kRows};

AttentionOutput attend_by(Walk kernel,
                          const AttentionInputs& inputs,
                          const Mask& mask,
                          int threads) {
  AttentionOutput output;
  attend(inputs, make_cpu_plan(mask, inputs.shape, kernel, Threads(threads)), Threads(threads),
         output);
  return output;
}

TEST(FewRows, EveryKernelEqualsTheOracleOverRandomProblems) {
  std::mt19937 engine(21);
  const auto pick = [&](std::initializer_list<std::int64_t> values) {
    return *(values.begin() + engine() % values.size());
  };
  for (unsigned trial = 0; trial < 90; ++trial) {
    AttentionShape shape;
    shape.batch = pick({1, 2});
    shape.kv_heads = pick({1, 3});
    const std::int64_t group = pick({1, 3, 4, 8});
    shape.query_heads = shape.kv_heads * group;
    shape.query_len = pick({1, 1, 2, 3, 5, 8});
    shape.key_len = pick({8, 63, 64, 65, 257, 511, 1300});
    shape.head_dim = pick({20, 33, 40, 64, 72, 80, 128, 136, 200, 256});
    const DType dtype = kDTypes[trial % 3];
    const RandomProblem problem(shape, dtype, engine() % 2 == 0, trial);
    const MaskExtent extent{pick({1, shape.batch}), pick({1, shape.kv_heads, shape.query_heads})};
    const RandomMaskOptions options{.tiles = static_cast<double>(engine() % 3) * 0.3,
                                    .keys = static_cast<double>(engine() % 3) * 0.1,
                                    .sampled = engine() % 2 == 0};
    const Mask mask = trial % 6 == 0
                          ? Mask::full(problem.inputs.visibility, extent)
                          : random_mask(problem.inputs.visibility, extent, options, trial);
    for (const Walk kernel : kKernels) {
      EXPECT_TRUE(
          holds(check_output(problem.inputs, mask, attend_by(kernel, problem.inputs, mask, 2))))
          << "trial " << trial << " " << shape.to_string() << " " << name_of(dtype) << " kernel "
          << name_of(kernel);
    }
  }
}

TEST(FewRows, EveryTargetEqualsTheOracle) {
  for (const std::int64_t group : {1, 2, 3, 4, 5, 6, 7, 8}) {
    for (const std::int64_t head_dim : {20, 80, 128}) {
      const AttentionShape shape{.query_heads = 2 * group,
                                 .kv_heads = 2,
                                 .query_len = 1,
                                 .key_len = 331,
                                 .head_dim = head_dim};
      for (const DType dtype : kDTypes) {
        const RandomProblem problem(shape, dtype, true, 5);
        const Mask mask =
            random_mask(problem.inputs.visibility, {1, 2 * group}, {.sampled = true}, 6);
        for_each_target([&](const char* target) {
          for (const Walk kernel : kKernels) {
            EXPECT_TRUE(holds(
                check_output(problem.inputs, mask, attend_by(kernel, problem.inputs, mask, 1))))
                << target << " " << name_of(kernel) << " " << name_of(dtype) << " "
                << shape.to_string();
          }
        });
      }
    }
  }
}

TEST(FewRows, ServeRowBlocksUpToTheirLimitWhoseComponentsFillAVector) {
  const AttentionShape shape{.query_heads = 8, .kv_heads = 1, .key_len = 70, .head_dim = 32};
  const RandomProblem problem(shape, DType::kBFloat16, false, 1);
  AttentionInputs narrow = problem.inputs;
  narrow.shape.head_dim = 7;
  const RowBlock most{.heads = 8, .queries = kFewRows / 8};
  const RowBlock more{.heads = 1, .queries = kFewRows + 1};
  for_each_target([&](const char* target) {
    EXPECT_EQ(detail::few_rows_serve(problem.inputs, most), detail::value_lanes() > 1) << target;
    EXPECT_FALSE(detail::few_rows_serve(problem.inputs, more)) << target;
    EXPECT_FALSE(detail::few_rows_serve(narrow, most)) << target;
  });
}

TEST(FewRows, OutputsAreBitIdenticalForAnyThreadCount) {
  for (const DType dtype : kDTypes) {
    const AttentionShape shape{
        .query_heads = 12, .kv_heads = 3, .query_len = 2, .key_len = 9000, .head_dim = 40};
    const RandomProblem problem(shape, dtype, true, 8);
    const Mask mask = random_mask(problem.inputs.visibility, {1, 12}, {.sampled = true}, 9);
    for (const Walk kernel : kKernels) {
      const AttentionOutput one = attend_by(kernel, problem.inputs, mask, 1);
      EXPECT_TRUE(holds(check_output(problem.inputs, mask, one)));
      for (const int threads : {2, 3}) {
        EXPECT_TRUE(holds(
            rules::check_same_output(attend_by(kernel, problem.inputs, mask, threads), one, shape)))
            << name_of(kernel);
      }
    }
  }
}

TEST(FewRows, StridedKeysAndValuesAreReadInPlace) {
  // [length, heads, dim]: one token's heads lie together.
  const AttentionShape shape{.query_heads = 4, .kv_heads = 2, .key_len = 130, .head_dim = 48};
  RandomProblem problem(shape, DType::kFloat32, false, 3);
  for (TensorView* view : {&problem.inputs.k, &problem.inputs.v}) {
    view->row_stride = 2 * 48;
    view->head_stride = 48;
  }
  const Mask mask = random_mask(problem.inputs.visibility, {1, 4}, {.sampled = true}, 4);
  for (const Walk kernel : kKernels) {
    EXPECT_TRUE(
        holds(check_output(problem.inputs, mask, attend_by(kernel, problem.inputs, mask, 1))));
  }
}

TEST(FewRowsKernel, OrderingPlacesEachComponentOnce) {
  for_each_target([&](const char* target) {
    for (const DType dtype : kDTypes) {
      for (std::int64_t dim = 1; dim <= 100; ++dim) {
        const auto width = static_cast<std::size_t>(detail::few_rows_width(dtype, dim));
        if (width == 0) continue;
        std::vector<float> components(static_cast<std::size_t>(dim));
        for (std::size_t i = 0; i < components.size(); ++i) {
          components[i] = static_cast<float>(i) + 1;
        }
        std::vector<float> ordered(width, -1.0F);
        detail::order_components(dtype, dim, components.data(), ordered.data());
        // The rest is 0: a product counts no component twice.
        std::vector<float> sorted = ordered;
        std::sort(sorted.begin(), sorted.end());
        std::vector<float> expected(width, 0.0F);
        std::copy(components.begin(), components.end(), expected.end() - dim);
        EXPECT_EQ(sorted, expected) << target << " " << name_of(dtype) << " " << dim;
      }
    }
  });
}

}  // namespace
}  // namespace maskerade
