// On a device: every kernel against the float64 oracle.

#include "attention/cuda/cuda_attention.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>
#include <set>
#include <string>

#include "attention/cuda/cudnn_library.hpp"
#include "attention/cuda/device_roofs.hpp"
#include "attention/reference/oracle.hpp"
#include "framework/base/error.hpp"
#include "tests/attention/random_problem.hpp"

#define SKIP_WITHOUT_DEVICE() \
  if (!cuda_device().is_available) GTEST_SKIP() << cuda_device().reason

namespace maskerade {
namespace {

constexpr Kernel kKernels[] = {Kernel::kDense, Kernel::kTiles, Kernel::kRows};
constexpr CudaFamily kFamilies[] = {CudaFamily::kSm80, CudaFamily::kSm90};

double tolerance_of(const AttentionShape& shape, DType dtype) {
  switch (cuda_arithmetic(dtype, shape.head_dim)) {
    case DType::kFloat16:
      return 2e-3;
    case DType::kBFloat16:
      return 1e-2;
    default:
      return 1e-5;
  }
}

AttentionOutput attend_by(CudaAttention& device, const Mask& mask, std::optional<Kernel> kernel) {
  const CudaMask uploaded = device.upload(mask);
  EXPECT_EQ(uploaded.download(), mask);
  const CudaPlan plan = device.plan(uploaded, kernel);
  AttentionOutput output;
  device.poison();
  device.attend(plan);
  device.download(plan, output);
  return output;
}

// Every `step`-th row.
void expect_oracle(const AttentionInputs& inputs,
                   const Mask& mask,
                   const AttentionOutput& output,
                   double tolerance,
                   std::int64_t step = 1) {
  const AttentionShape& shape = inputs.shape;
  double worst = 0;
  double worst_lse = 0;
  for (std::int64_t row = 0; row < shape.rows(); row += step) {
    const std::int64_t head = row / shape.query_len;
    const OracleRow oracle = oracle_row(inputs, mask, head / shape.query_heads,
                                        head % shape.query_heads, row % shape.query_len);
    worst = std::max(worst, row_error(oracle, output.out.data() + row * shape.head_dim));
    const float lse = output.lse[static_cast<std::size_t>(row)];
    if (std::isinf(oracle.lse)) {
      EXPECT_EQ(lse, -std::numeric_limits<float>::infinity());
    } else {
      const double error = std::abs(oracle.lse - static_cast<double>(lse));
      worst_lse = std::max(worst_lse, std::isnan(error) ? 1e30 : error);
    }
  }
  EXPECT_LE(worst, tolerance);
  EXPECT_LE(worst_lse, 1e-4);
  // What was not written is poison.
  for (const float value : output.out) ASSERT_FALSE(std::isnan(value));
  for (const float value : output.lse) ASSERT_FALSE(std::isnan(value));
}

void expect_oracle_by_every_kernel(const AttentionInputs& inputs,
                                   const Mask& mask,
                                   DType dtype,
                                   std::int64_t step = 1) {
  std::set<std::string> done;
  for (const CudaFamily newest : kFamilies) {
    CudaAttention device(inputs, newest);
    const CudaMask uploaded = device.upload(mask);
    for (const Kernel kernel : kKernels) {
      const std::string name = device.plan(uploaded, kernel).kernel_name();
      if (!done.insert(name).second) continue;
      SCOPED_TRACE(::testing::Message() << inputs.shape.to_string() << " " << name_of(dtype) << " "
                                        << name << " sampled " << mask.has_sampled() << " extent "
                                        << mask.extent().batch << " " << mask.extent().heads);
      const AttentionOutput output = attend_by(device, mask, kernel);
      expect_oracle(inputs, mask, output, tolerance_of(inputs.shape, dtype), step);
      const AttentionOutput again = attend_by(device, mask, kernel);
      EXPECT_EQ(output.out, again.out);
      EXPECT_EQ(output.lse, again.lse);
    }
  }
}

TEST(CudaAttention, WithoutADeviceSaysWhy) {
  if (cuda_device().is_available) GTEST_SKIP() << "there is a device";
  const RandomProblem problem({.head_dim = 64}, DType::kFloat32, false, 1);
  try {
    CudaAttention device(problem.inputs);
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.what(), cuda_device().reason);
    EXPECT_FALSE(cuda_device().reason.empty());
  }
}

TEST(CudaAttention, EveryKernelEqualsTheOracleOverRandomProblems) {
  SKIP_WITHOUT_DEVICE();
  std::mt19937 engine(11);
  const auto pick = [&](std::initializer_list<std::int64_t> values) {
    return *(values.begin() + engine() % values.size());
  };
  for (unsigned trial = 0; trial < 60; ++trial) {
    AttentionShape shape;
    shape.batch = pick({1, 2});
    shape.kv_heads = pick({1, 2});
    shape.query_heads = shape.kv_heads * pick({1, 3, 4, 8});
    shape.query_len = pick({1, 1, 2, 17, 64, 65, 131});
    shape.key_len = pick({1, 5, 63, 64, 65, 200, 333, 517, 4100});
    shape.head_dim = pick({20, 32, 64, 64, 80, 128, 128, 256});
    const bool causal = shape.query_len <= shape.key_len && engine() % 2 == 0;
    const DType dtype = static_cast<DType>(trial % 3);
    const RandomProblem problem(shape, dtype, causal, trial);
    const MaskExtent extent{pick({1, shape.batch}), pick({1, shape.kv_heads, shape.query_heads})};
    const RandomMaskOptions options{.tiles = static_cast<double>(engine() % 3) * 0.4,
                                    .keys = static_cast<double>(engine() % 3) * 0.15,
                                    .sampled = engine() % 2 == 0};
    const Mask mask = trial % 10 == 0
                          ? Mask::full(problem.inputs.visibility, extent)
                          : random_mask(problem.inputs.visibility, extent, options, trial);
    // The oracle is slow: not every row of a large problem.
    const std::int64_t step = 1 + shape.rows() * shape.key_len * shape.head_dim / 50'000'000;
    expect_oracle_by_every_kernel(problem.inputs, mask, dtype, step);
    if (HasFailure()) break;
  }
}

// Few enough to run under a sanitizer.
TEST(CudaAttention, SmallProblemsEqualTheOracle) {
  SKIP_WITHOUT_DEVICE();
  for (const DType dtype : {DType::kFloat32, DType::kFloat16, DType::kBFloat16}) {
    for (const std::int64_t query_len : {1, 70}) {
      const AttentionShape shape{.query_heads = 4,
                                 .kv_heads = 2,
                                 .query_len = query_len,
                                 .key_len = 700,
                                 .head_dim = dtype == DType::kFloat16 ? 128 : 64};
      const RandomProblem problem(shape, dtype, true, 3);
      const Mask mask = random_mask(problem.inputs.visibility, {1, 4}, {.sampled = true}, 4);
      expect_oracle_by_every_kernel(problem.inputs, mask, dtype);
    }
  }
}

TEST(CudaAttention, TheDevicesOracleIsTheCpus) {
  SKIP_WITHOUT_DEVICE();
  for (const DType dtype : {DType::kFloat32, DType::kFloat16, DType::kBFloat16}) {
    const AttentionShape shape{.batch = 2,
                               .query_heads = 4,
                               .kv_heads = 2,
                               .query_len = 70,
                               .key_len = 150,
                               .head_dim = 40};
    const RandomProblem problem(shape, dtype, true, 2);
    for (const MaskExtent extent : {MaskExtent{1, 1}, MaskExtent{2, 2}, MaskExtent{1, 4}}) {
      const Mask mask = random_mask(problem.inputs.visibility, extent, {.sampled = true}, 3);
      CudaAttention device(problem.inputs);
      const CudaOracle oracle = device.attend_oracle(device.upload(mask));
      for (std::int64_t row = 0; row < shape.rows(); ++row) {
        const std::int64_t head = row / shape.query_len;
        const OracleRow cpu = oracle_row(problem.inputs, mask, head / shape.query_heads,
                                         head % shape.query_heads, row % shape.query_len);
        const double lse = oracle.lse[static_cast<std::size_t>(row)];
        if (std::isinf(cpu.lse)) {
          EXPECT_EQ(lse, cpu.lse);
        } else {
          EXPECT_NEAR(lse, cpu.lse, 1e-12);
        }
        for (std::int64_t d = 0; d < shape.head_dim; ++d) {
          ASSERT_NEAR(oracle.out[static_cast<std::size_t>(row * shape.head_dim + d)],
                      cpu.out[static_cast<std::size_t>(d)], 1e-12);
        }
      }
    }
  }
}

// Every row of a problem that is too large for the CPU's oracle.
TEST(CudaAttention, EveryRowOfALargeProblemEqualsTheDevicesOracle) {
  SKIP_WITHOUT_DEVICE();
  const AttentionShape shape{
      .query_heads = 4, .kv_heads = 1, .query_len = 4100, .key_len = 4100, .head_dim = 128};
  const RandomProblem problem(shape, DType::kBFloat16, true, 12);
  const Mask mask = random_mask(problem.inputs.visibility, {1, 1}, {.keys = 0.02}, 13);
  for (const CudaFamily newest : kFamilies) {
    CudaAttention device(problem.inputs, newest);
    const CudaOracle oracle = device.attend_oracle(device.upload(mask));
    for (const Kernel kernel : kKernels) {
      const AttentionOutput output = attend_by(device, mask, kernel);
      double worst = 0;
      for (std::int64_t row = 0; row < shape.rows(); ++row) {
        const auto begin = oracle.out.begin() + row * shape.head_dim;
        const OracleRow of_row{{begin, begin + shape.head_dim}, 0};
        worst = std::max(worst, row_error(of_row, output.out.data() + row * shape.head_dim));
      }
      EXPECT_LE(worst, tolerance_of(shape, DType::kBFloat16)) << name_of(kernel);
    }
  }
}

TEST(CudaAttention, ManyTilesEqualTheOracle) {
  SKIP_WITHOUT_DEVICE();
  for (const DType dtype : {DType::kFloat32, DType::kFloat16, DType::kBFloat16}) {
    const AttentionShape shape{.query_heads = 4,
                               .kv_heads = 2,
                               .query_len = 1500,
                               .key_len = 3000,
                               .head_dim = dtype == DType::kFloat16 ? 64 : 128};
    const RandomProblem problem(shape, dtype, true, 3);
    const Mask mask = random_mask(problem.inputs.visibility, {1, 4}, {}, 4);
    expect_oracle_by_every_kernel(problem.inputs, mask, dtype, 37);
  }
}

// Where the heads of a group have one list, row blocks share tiles; elsewhere few.
TEST(CudaAttention, ManyTilesOfGroupedHeadsEqualTheOracle) {
  SKIP_WITHOUT_DEVICE();
  for (const std::int64_t head_dim : {64, 128}) {
    const AttentionShape shape{
        .query_heads = 10, .kv_heads = 2, .query_len = 330, .key_len = 5000, .head_dim = head_dim};
    const RandomProblem problem(shape, DType::kBFloat16, true, 7);
    for (const std::int64_t heads : {1, 2, 10}) {
      for (const double tiles : {0.05, 0.6}) {
        const Mask mask =
            random_mask(problem.inputs.visibility, {1, heads}, {.tiles = tiles, .keys = 0}, 8);
        expect_oracle_by_every_kernel(problem.inputs, mask, DType::kBFloat16, 23);
      }
    }
  }
}

TEST(CudaAttention, DecodeOverManyKeysEqualsTheOracle) {
  SKIP_WITHOUT_DEVICE();
  for (const DType dtype : {DType::kFloat32, DType::kBFloat16}) {
    const AttentionShape shape{.batch = 2,
                               .query_heads = 32,
                               .kv_heads = 8,
                               .query_len = 1,
                               .key_len = 20'000,
                               .head_dim = 128};
    const RandomProblem problem(shape, dtype, true, 5);
    for (const std::int64_t heads : {1, 8, 32}) {
      const Mask mask = random_mask(problem.inputs.visibility, {2, heads}, {.sampled = true}, 6);
      expect_oracle_by_every_kernel(problem.inputs, mask, dtype);
    }
  }
}

TEST(CudaAttention, AnEmptyMaskGivesZerosAndMinusInfinity) {
  SKIP_WITHOUT_DEVICE();
  const RandomProblem problem({.query_len = 70, .key_len = 100, .head_dim = 64}, DType::kFloat16,
                              false, 1);
  expect_oracle_by_every_kernel(problem.inputs, Mask::empty(problem.inputs.visibility),
                                DType::kFloat16);
}

TEST(CudaAttention, ViewsThatAreNotContiguousAreReadAsTheyAre) {
  SKIP_WITHOUT_DEVICE();
  const AttentionShape shape{.query_heads = 2, .query_len = 65, .key_len = 90, .head_dim = 64};
  const RandomProblem wide({.query_heads = 2, .query_len = 65, .key_len = 180, .head_dim = 64},
                           DType::kBFloat16, false, 8);
  AttentionInputs inputs = wide.inputs;
  inputs.shape = shape;
  inputs.visibility = Visibility::all(65, 90);
  for (TensorView* view : {&inputs.k, &inputs.v}) {
    view->length = 90;
    view->row_stride *= 2;
  }
  expect_oracle_by_every_kernel(inputs, Mask::full(inputs.visibility), DType::kBFloat16);
}

TEST(CudaAttention, EmptyingTheCacheLeavesWhatIsTimedAlone) {
  SKIP_WITHOUT_DEVICE();
  const RandomProblem problem({.query_len = 70, .key_len = 100, .head_dim = 64}, DType::kFloat16,
                              false, 1);
  CudaAttention device(problem.inputs);
  const CudaMask mask = device.upload(Mask::full(problem.inputs.visibility));
  const CudaPlan plan = device.plan(mask, Kernel::kTiles);
  AttentionOutput first;
  device.attend(plan);
  device.download(plan, first);
  for (const CudaCache cache : {CudaCache::kCold, CudaCache::kWarm}) {
    device.poison();
    EXPECT_GT(device.time_ms([&] { device.attend(plan); }, cache), 0);
    AttentionOutput again;
    device.download(plan, again);
    EXPECT_EQ(again.out, first.out);
    EXPECT_EQ(again.lse, first.lse);
  }
}

TEST(CudaAttention, AGraphGivesWhatItsKernelsGive) {
  SKIP_WITHOUT_DEVICE();
  for (const std::int64_t query_len : {1, 70}) {
    const RandomProblem problem(
        {.query_heads = 2, .query_len = query_len, .key_len = 600, .head_dim = 64},
        DType::kBFloat16, true, 1);
    CudaAttention device(problem.inputs);
    const CudaMask mask = device.upload(Mask::full(problem.inputs.visibility));
    const CudaPlan plan = device.plan(mask, std::nullopt);
    AttentionOutput each;
    device.attend(plan);
    device.download(plan, each);
    device.poison();
    EXPECT_GT(device.time_ms([&] { device.attend(plan); }, CudaCache::kCold, CudaLaunch::kGraph),
              0);
    AttentionOutput graph;
    device.download(plan, graph);
    EXPECT_EQ(graph.out, each.out);
    EXPECT_EQ(graph.lse, each.lse);
  }
}

// The cuDNN that is installed.
TEST(CudaAttention, CudnnEqualsTheOracle) {
  SKIP_WITHOUT_DEVICE();
  if (!cudnn_library().is_found) GTEST_SKIP() << cudnn_library().reason;
  for (const DType dtype : {DType::kFloat16, DType::kBFloat16}) {
    for (const bool causal : {false, true}) {
      for (const std::int64_t query_len : {1, 200, 700}) {
        const AttentionShape shape{.batch = 2,
                                   .query_heads = 8,
                                   .kv_heads = 2,
                                   .query_len = query_len,
                                   .key_len = 700,
                                   .head_dim = dtype == DType::kFloat16 ? 64 : 128};
        SCOPED_TRACE(::testing::Message() << shape.to_string() << " causal " << causal);
        const RandomProblem problem(shape, dtype, causal, 9);
        CudaAttention device(problem.inputs);
        const CudaPlan plan = device.plan_cudnn();
        AttentionOutput output;
        device.poison();
        device.attend(plan);
        device.download(plan, output);
        expect_oracle(problem.inputs, Mask::full(problem.inputs.visibility), output,
                      tolerance_of(shape, dtype), 7);
      }
    }
  }
}

TEST(CudaAttention, RoofsAreMeasuredOnTheDevice) {
  SKIP_WITHOUT_DEVICE();
  const DeviceRoofs roofs = measure_device_roofs();
  EXPECT_GT(roofs.l2_read_bytes_per_second, 0);
  EXPECT_GT(roofs.copy_bytes_per_second, 0);
  EXPECT_GT(roofs.matrix_flops_per_second, 0);
}

TEST(CudaAttention, RefusesWhatDoesNotFit) {
  SKIP_WITHOUT_DEVICE();
  const RandomProblem wide({.head_dim = 257}, DType::kFloat32, false, 1);
  EXPECT_THROW(CudaAttention{wide.inputs}, ShapeError);
  const RandomProblem problem({.key_len = 4, .head_dim = 64}, DType::kFloat32, false, 1);
  CudaAttention device(problem.inputs);
  EXPECT_THROW(device.upload(Mask::full(Visibility::all(1, 5))), ShapeError);
}

}  // namespace
}  // namespace maskerade
