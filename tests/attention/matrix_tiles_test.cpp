#include "attention/cpu/detail/matrix_tiles.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>
#include <vector>

#include "experiments/rules/random_problem.hpp"
#include "tests/attention/attend_by.hpp"
#include "tests/experiments/rules/expect_rule.hpp"

namespace maskerade {
namespace {

using rules::check_output;
using rules::check_same_output;
using rules::holds;
using rules::random_mask;
using rules::RandomProblem;

constexpr float kInf = std::numeric_limits<float>::infinity();

// The errors of the emulated matrix unit.
rules::LargestErrors errors_of_emulation(const AttentionInputs& inputs, const Mask& mask) {
  rules::LargestErrors errors;
  check_output(inputs, mask,
               attend_by(Walk::kDense, inputs, mask, 1, detail::MatrixUnit::kEmulated),
               base_allowance(DType::kFloat32), &errors);
  return errors;
}

// The matrix unit is emulated here. Sanitizers make that thirty times slower, and look at memory,
// not at numbers: three problems reach every path.
#if defined(__SANITIZE_ADDRESS__)
constexpr unsigned kTrialStep = 5;
#else
constexpr unsigned kTrialStep = 1;
#endif

TEST(MatrixTiles, EveryDTypeEqualsTheOracle) {
  std::vector<detail::MatrixUnit> units = {detail::MatrixUnit::kEmulated};
  if (detail::amx_is_usable()) units.push_back(detail::MatrixUnit::kAmx);
  std::mt19937 engine(21);
  const auto pick = [&](std::initializer_list<std::int64_t> values) {
    return *(values.begin() + engine() % values.size());
  };
  for (unsigned trial = 0; trial < 12; trial += kTrialStep) {
    AttentionShape shape;
    shape.batch = pick({1, 2});
    shape.kv_heads = pick({1, 2});
    shape.query_heads = shape.kv_heads * pick({1, 3});
    shape.query_len = pick({17, 33, 64, 75});
    shape.key_len = pick({75, 128, 200, 333});
    shape.head_dim = pick({8, 40, 64, 80, 256});
    const DType dtype = static_cast<DType>(trial % 3);
    const RandomProblem problem(shape, dtype, trial % 2 == 0, trial);
    const MaskExtent extent{1, shape.query_heads};
    const Mask mask =
        trial < 3 ? Mask::full(problem.inputs.visibility, extent)
                  : random_mask(problem.inputs.visibility, extent,
                                {.tiles = 0.4, .keys = 0.2, .sampled = trial % 4 == 0}, trial);
    for (const Walk kernel : kKernels) {
      for (const detail::MatrixUnit unit : units) {
        SCOPED_TRACE(::testing::Message() << "trial " << trial << " " << shape.to_string() << " "
                                          << name_of(dtype) << " " << name_of(kernel));
        const AttentionOutput output = attend_by(kernel, problem.inputs, mask, 1, unit);
        EXPECT_TRUE(holds(check_output(problem.inputs, mask, output)));
        EXPECT_TRUE(holds(
            check_same_output(output, attend_by(kernel, problem.inputs, mask, 2, unit), shape)));
      }
    }
  }
}

TEST(MatrixTiles, PayWhereManyRowsReadATile) {
  const auto pay = [](DType dtype, std::int64_t head_dim, std::int64_t query_len) {
    const AttentionShape shape{.query_heads = 1,
                               .kv_heads = 1,
                               .query_len = query_len,
                               .key_len = 512,
                               .head_dim = head_dim};
    const RandomProblem problem(shape, dtype, false, 1);
    const CpuPlan plan =
        make_cpu_plan(Mask::full(problem.inputs.visibility), shape, Walk::kDense, Threads(1));
    return detail::MatrixTiles::pay(problem.inputs, plan);
  };
  EXPECT_TRUE(pay(DType::kFloat32, 64, 256));
  EXPECT_FALSE(pay(DType::kFloat32, 64, 128));
  EXPECT_FALSE(pay(DType::kFloat32, 56, 256));
  EXPECT_TRUE(pay(DType::kBFloat16, 64, 64));
  EXPECT_FALSE(pay(DType::kBFloat16, 24, 64));
}

TEST(MatrixTiles, AreExactToTheLastBitsOfFloat32) {
  // All pieces of q, k, p and v count: without the third ones the error is about 1e-5.
  const AttentionShape shape{
      .query_heads = 1, .kv_heads = 1, .query_len = 64, .key_len = 256, .head_dim = 64};
  const RandomProblem problem(shape, DType::kFloat32, false, 8);
  const Mask mask = Mask::full(problem.inputs.visibility);
  const rules::LargestErrors errors = errors_of_emulation(problem.inputs, mask);
  EXPECT_LE(errors.out, 1e-6);
  EXPECT_LE(errors.lse, 1e-6);
}

TEST(MatrixTiles, WeightsOfBFloat16ValuesThatCancelAreExactToo) {
  // Two keys with opposite values, weighted about .6 and .4: with weights of two pieces the error
  // is above 1e-5.
  const AttentionShape shape{
      .query_heads = 1, .kv_heads = 1, .query_len = 512, .key_len = 2, .head_dim = 64};
  RandomProblem problem(shape, DType::kBFloat16, false, 9);
  std::mt19937 engine(9);
  std::normal_distribution<float> normal;
  std::vector<float> queries(512 * 64);
  for (float& value : queries) value = std::abs(normal(engine));
  std::vector<float> keys(2 * 64);
  std::fill_n(keys.begin(), 64, 1.0F / 16);
  std::vector<float> values(2 * 64, 1.0F);
  std::fill_n(values.begin(), 64, -1.0F);
  const Tensor q = Tensor::from_floats(DType::kBFloat16, 1, 1, 512, 64, queries.data());
  const Tensor k = Tensor::from_floats(DType::kBFloat16, 1, 1, 2, 64, keys.data());
  const Tensor v = Tensor::from_floats(DType::kBFloat16, 1, 1, 2, 64, values.data());
  problem.inputs.q = q.view();
  problem.inputs.k = k.view();
  problem.inputs.v = v.view();
  const Mask mask = Mask::full(problem.inputs.visibility);
  const rules::LargestErrors errors = errors_of_emulation(problem.inputs, mask);
  EXPECT_LE(errors.out, 2e-6);
  EXPECT_LE(errors.lse, 1e-6);
}

TEST(MatrixTiles, EqualTheirEmulationBitForBit) {
  if (!detail::amx_is_usable()) GTEST_SKIP() << "this machine has no matrix tiles";
  const AttentionShape shape{
      .query_heads = 4, .kv_heads = 2, .query_len = 70, .key_len = 150, .head_dim = 40};
  for (const DType dtype : {DType::kFloat32, DType::kFloat16, DType::kBFloat16}) {
    const RandomProblem problem(shape, dtype, true, 5);
    const Mask mask = random_mask(problem.inputs.visibility, {1, 4}, {.sampled = true}, 6);
    for (const Walk kernel : kKernels) {
      const AttentionOutput amx =
          attend_by(kernel, problem.inputs, mask, 1, detail::MatrixUnit::kAmx);
      const AttentionOutput emulated =
          attend_by(kernel, problem.inputs, mask, 1, detail::MatrixUnit::kEmulated);
      EXPECT_TRUE(holds(check_same_output(amx, emulated, shape)))
          << name_of(dtype) << " " << name_of(kernel);
    }
  }
}

TEST(MatrixTiles, LeaveNumbersThatPiecesDoNotServeToVectors) {
  // Denormals, and numbers of which the pieces would be; huge ones; infinity, in one key that half
  // of the rows attend to.
  const AttentionShape shape{
      .query_heads = 1, .kv_heads = 1, .query_len = 80, .key_len = 200, .head_dim = 32};
  for (const DType dtype : {DType::kFloat32, DType::kBFloat16}) {
    for (const float odd : {0x1p-130F, 0x1p-110F, 0x1p60F, kInf}) {
      // Infinite values times weights of 0 are NaN, for the rows of a step.
      for (int tensor = 0; tensor < (std::isinf(odd) ? 2 : 3); ++tensor) {
        SCOPED_TRACE(::testing::Message() << name_of(dtype) << " " << odd << " in "
                                          << "qkv"[tensor]);
        RandomProblem problem(shape, dtype, true, 6);
        TensorView* view = tensor == 0   ? &problem.inputs.q
                           : tensor == 1 ? &problem.inputs.k
                                         : &problem.inputs.v;
        std::vector<float> values(static_cast<std::size_t>(view->length) * 32);
        for (std::int64_t row = 0; row < view->length; ++row) {
          view->load_row(0, 0, row, values.data() + row * 32);
        }
        // A row of them alone: what is lost of them would show.
        const std::size_t at = tensor == 0 ? 40 : 160;
        const std::size_t count = std::isinf(odd) ? 1 : 32;
        for (std::size_t d = 0; d < count; ++d) values[at * 32 + d] = d % 2 == 0 ? odd : -odd;
        const Tensor changed = Tensor::from_floats(dtype, 1, 1, view->length, 32, values.data());
        *view = changed.view();
        const Mask mask = Mask::full(problem.inputs.visibility);
        const AttentionOutput vectors =
            attend_by(Walk::kDense, problem.inputs, mask, 1, detail::MatrixUnit::kNone);
        const AttentionOutput tiles =
            attend_by(Walk::kDense, problem.inputs, mask, 1, detail::MatrixUnit::kEmulated);
        for (std::size_t row = 0; row < tiles.lse.size(); ++row) {
          EXPECT_EQ(std::isfinite(vectors.lse[row]), std::isfinite(tiles.lse[row])) << row;
          for (std::size_t d = 0; d < 32; ++d) {
            const float expected = vectors.out[row * 32 + d];
            const float got = tiles.out[row * 32 + d];
            if (std::isfinite(expected)) {
              EXPECT_NEAR(got, expected, 1e-5 * std::max(1.0F, std::abs(expected))) << row;
            } else {
              EXPECT_EQ(std::isnan(got), std::isnan(expected)) << row;
              EXPECT_EQ(std::isinf(got), std::isinf(expected)) << row;
            }
          }
        }
      }
    }
  }
}

TEST(MatrixTiles, ValuesTooSmallForPiecesAreKept) {
  const AttentionShape shape{
      .query_heads = 1, .kv_heads = 1, .query_len = 20, .key_len = 64, .head_dim = 32};
  RandomProblem problem(shape, DType::kFloat32, false, 6);
  std::vector<float> values(64 * 32);
  for (std::size_t i = 0; i < values.size(); ++i) {
    values[i] = static_cast<float>(1 + i % 7) * 0x1p-118F;
  }
  const Tensor v = Tensor::from_floats(DType::kFloat32, 1, 1, 64, 32, values.data());
  problem.inputs.v = v.view();
  const Mask mask = Mask::full(problem.inputs.visibility);
  const AttentionOutput output =
      attend_by(Walk::kDense, problem.inputs, mask, 1, detail::MatrixUnit::kEmulated);
  EXPECT_TRUE(holds(check_output(problem.inputs, mask, output)));
}

}  // namespace
}  // namespace maskerade
