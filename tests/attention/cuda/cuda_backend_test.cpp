// The CUDA backend against the float64 oracle: on a device, and, as cuda_backend_emulated_test,
// with an emulated runtime. Without a device the tests are skipped.

#include "attention/cuda/detail/cuda_backend.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>
#include <set>
#include <string>

#include "attention/backend_table.hpp"
#include "attention/cuda/cudnn_library.hpp"
#include "attention/cuda/detail/kernels.hpp"
#include "attention/cuda/device_roofs.hpp"
#include "attention/reference/row_judgement.hpp"
#include "attention/research_attention.hpp"
#include "framework/base/error.hpp"
#include "tests/attention/random_problem.hpp"

#define SKIP_WITHOUT_DEVICE() \
  if (!cuda_device().is_available) GTEST_SKIP() << cuda_device().reason

namespace maskerade {
namespace {

constexpr const char* kKernels[] = {"dense", "tiles", "rows"};
constexpr CudaFamily kFamilies[] = {CudaFamily::kSm80, CudaFamily::kSm90};

// The largest error of a row that the kernels' arithmetic allows (design: base allowance).
double tolerance_of(const AttentionShape& shape, DType dtype) {
  return base_allowance(cuda_arithmetic(dtype, shape.head_dim));
}

AttentionOutput fetch(Backend& device, const KernelPlan& planned) {
  AttentionOutput output;
  device.fetch(*planned.plan, output);
  return output;
}

// Attention by a kernel over poisoned outputs, with the mask uploaded and compared on the way.
AttentionOutput attend_by(Backend& device, const Mask& mask, std::string_view kernel) {
  const auto uploaded = device.take(mask);
  EXPECT_EQ(uploaded->on_host(), mask);
  const KernelPlan planned = plan_for(device, *uploaded, kernel);
  AttentionOutput output;
  device.time(Stage::kAttend, {}, [&] { planned.attend(device, output); });  // over poison
  return fetch(device, planned);
}

// What the oracle on the device gives.
struct DeviceOracle {
  std::vector<double> out;  // [batch, query_heads, query_len, head_dim]; zeros without active keys
  std::vector<double> lse;  // [batch, query_heads, query_len]; -inf without active keys
};

// Naive float64 attention over exactly the mask's keys, on the device, by the definition; for more
// rows than the CPU's oracle has time for.
DeviceOracle attend_by_oracle(cuda::CudaBackend& device, const Mask& mask) {
  const cuda::DeviceProblem& problem = device.problem();
  const AttentionShape& shape = problem.shape();
  const cudaStream_t stream = problem.stream().get();
  const auto uploaded = device.take(mask);
  const DeviceBuffer<double> out(shape.rows() * shape.head_dim, stream);
  const DeviceBuffer<double> lse(shape.rows(), stream);
  cuda::attend_oracle(
      {.attend = problem.arguments(),
       .scale = problem.inputs().scale,
       .dtype = problem.dtype(),
       .mask = static_cast<const cuda::CudaMask&>(*uploaded).selection().mask().view(),
       .query_heads = shape.query_heads,
       .out = out.data(),
       .lse = lse.data()},
      shape.rows(), stream);
  return {out.download(), lse.download()};
}

// Expects out and lse to be within tolerance of the oracle in every `step`-th row, and no row to be
// left unwritten.
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
    worst = std::max(worst, out_error(oracle, output.out.data() + row * shape.head_dim));
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
  // attend_by() poisons the outputs with NaN: a value that is not written stays NaN.
  for (const float value : output.out) ASSERT_FALSE(std::isnan(value));
  for (const float value : output.lse) ASSERT_FALSE(std::isnan(value));
}

// Expects the same of every kernel and family that serves the inputs, and that a second run gives
// the same bits.
void expect_oracle_by_every_kernel(const AttentionInputs& inputs,
                                   const Mask& mask,
                                   DType dtype,
                                   std::int64_t step = 1) {
  std::set<std::string> done;
  for (const CudaFamily newest : kFamilies) {
    const auto device = open_cuda_backend(inputs, {.newest = newest});
    const auto uploaded = device->take(mask);
    for (const char* kernel : kKernels) {
      const std::string name = plan_for(*device, *uploaded, kernel).plan->kernel_mix();
      if (!done.insert(name).second) continue;
      SCOPED_TRACE(::testing::Message() << inputs.shape.to_string() << " " << name_of(dtype) << " "
                                        << name << " sampled " << mask.has_sampled() << " extent "
                                        << mask.extent().batch << " " << mask.extent().heads);
      const AttentionOutput output = attend_by(*device, mask, kernel);
      expect_oracle(inputs, mask, output, tolerance_of(inputs.shape, dtype), step);
      const AttentionOutput again = attend_by(*device, mask, kernel);
      EXPECT_EQ(output.out, again.out);
      EXPECT_EQ(output.lse, again.lse);
    }
  }
}

TEST(CudaBackend, WithoutADeviceSaysWhy) {
  if (cuda_device().is_available) GTEST_SKIP() << "there is a device";
  const RandomProblem problem({.head_dim = 64}, DType::kFloat32, false, 1);
  try {
    open_backend("cuda", problem.inputs);
    FAIL() << "no error";
  } catch (const UnavailableError& error) {
    EXPECT_EQ(error.what(), cuda_device().reason);
    EXPECT_FALSE(cuda_device().reason.empty());
  }
}

TEST(CudaBackend, EveryKernelEqualsTheOracleOverRandomProblems) {
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

// Small enough to run under a sanitizer.
TEST(CudaBackend, SmallProblemsEqualTheOracle) {
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

TEST(CudaBackend, TheDevicesOracleIsTheCpus) {
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
      cuda::CudaBackend device(problem.inputs, {});
      const DeviceOracle oracle = attend_by_oracle(device, mask);
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

// The problem is too large for the CPU's oracle.
TEST(CudaBackend, EveryRowOfALargeProblemEqualsTheDevicesOracle) {
  SKIP_WITHOUT_DEVICE();
  const AttentionShape shape{
      .query_heads = 4, .kv_heads = 1, .query_len = 4100, .key_len = 4100, .head_dim = 128};
  const RandomProblem problem(shape, DType::kBFloat16, true, 12);
  const Mask mask = random_mask(problem.inputs.visibility, {1, 1}, {.keys = 0.02}, 13);
  for (const CudaFamily newest : kFamilies) {
    cuda::CudaBackend device(problem.inputs, {.newest = newest});
    const DeviceOracle oracle = attend_by_oracle(device, mask);
    for (const char* kernel : kKernels) {
      const AttentionOutput output = attend_by(device, mask, kernel);
      double worst = 0;
      for (std::int64_t row = 0; row < shape.rows(); ++row) {
        const auto begin = oracle.out.begin() + row * shape.head_dim;
        const OracleRow oracle_of_row{{begin, begin + shape.head_dim}, 0};
        worst = std::max(worst, out_error(oracle_of_row, output.out.data() + row * shape.head_dim));
      }
      EXPECT_LE(worst, tolerance_of(shape, DType::kBFloat16)) << kernel;
    }
  }
}

TEST(CudaBackend, ManyTilesEqualTheOracle) {
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

// Row blocks of one pair share tiles where the heads of a group share one list; with a mask head
// for each query head they share few.
TEST(CudaBackend, ManyTilesOfGroupedHeadsEqualTheOracle) {
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

TEST(CudaBackend, DecodeOverManyKeysEqualsTheOracle) {
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

TEST(CudaBackend, AnEmptyMaskGivesZerosAndMinusInfinity) {
  SKIP_WITHOUT_DEVICE();
  const RandomProblem problem({.query_len = 70, .key_len = 100, .head_dim = 64}, DType::kFloat16,
                              false, 1);
  expect_oracle_by_every_kernel(problem.inputs, Mask::empty(problem.inputs.visibility),
                                DType::kFloat16);
}

TEST(CudaBackend, ViewsThatAreNotContiguousAreReadAsTheyAre) {
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

TEST(CudaBackend, EmptyingTheCacheLeavesWhatIsTimedAlone) {
  SKIP_WITHOUT_DEVICE();
  const RandomProblem problem({.query_len = 70, .key_len = 100, .head_dim = 64}, DType::kFloat16,
                              false, 1);
  const auto device = open_cuda_backend(problem.inputs, {});
  const auto mask = device->take(Mask::full(problem.inputs.visibility));
  const KernelPlan planned = plan_for(*device, *mask, "tiles");
  AttentionOutput unused;
  planned.attend(*device, unused);
  const AttentionOutput first = fetch(*device, planned);
  for (const bool is_warm : {false, true}) {
    const StageTime time = device->time(Stage::kAttend, {.is_warm = is_warm},
                                        [&] { planned.attend(*device, unused); });
    EXPECT_GT(time.ms, 0);
    EXPECT_FALSE(time.launch_ms);
    const AttentionOutput again = fetch(*device, planned);
    EXPECT_EQ(again.out, first.out);
    EXPECT_EQ(again.lse, first.lse);
  }
}

TEST(CudaBackend, AGraphGivesWhatItsKernelsGive) {
  SKIP_WITHOUT_DEVICE();
  for (const std::int64_t query_len : {1, 70}) {
    const RandomProblem problem(
        {.query_heads = 2, .query_len = query_len, .key_len = 600, .head_dim = 64},
        DType::kBFloat16, true, 1);
    const auto device = open_cuda_backend(problem.inputs, {});
    const auto mask = device->take(Mask::full(problem.inputs.visibility));
    const KernelPlan planned = plan_for(*device, *mask, "auto");
    AttentionOutput unused;
    planned.attend(*device, unused);
    const AttentionOutput each = fetch(*device, planned);
    const StageTime time = device->time(Stage::kAttend, {.uses_graph = true},
                                        [&] { planned.attend(*device, unused); });
    EXPECT_GT(time.ms, 0);
    EXPECT_TRUE(time.launch_ms);
    const AttentionOutput graph = fetch(*device, planned);
    EXPECT_EQ(graph.out, each.out);
    EXPECT_EQ(graph.lse, each.lse);
  }
}

// A sequence that grows has the results of a sequence that is whole from the start, whether it was
// given room or has to move, and of one that is cut back.
TEST(CudaBackend, AGrowingSequenceIsTheWholeOne) {
  SKIP_WITHOUT_DEVICE();
  const AttentionShape shape{
      .batch = 2, .query_heads = 4, .kv_heads = 2, .query_len = 1, .key_len = 300, .head_dim = 64};
  const RandomProblem problem(shape, DType::kBFloat16, true, 4);
  const auto first_keys = [&](std::int64_t count) {
    AttentionInputs inputs = problem.inputs;
    inputs.shape.key_len = inputs.k.length = inputs.v.length = count;
    inputs.visibility = Visibility::causal(1, count);
    return inputs;
  };
  for (const std::int64_t key_capacity : {0, 300}) {
    const auto growing = open_cuda_backend(first_keys(63), {.key_capacity = key_capacity});
    for (const std::int64_t count : {64, 65, 200, 300, 130}) {
      growing->show(first_keys(count));
      const auto whole = open_cuda_backend(first_keys(count), {});
      const Mask mask = random_mask(growing->inputs().visibility, {2, 4}, {.sampled = true}, 9);
      for (const char* kernel : kKernels) {
        SCOPED_TRACE(::testing::Message() << kernel << " " << count);
        const AttentionOutput grown = attend_by(*growing, mask, kernel);
        const AttentionOutput at_once = attend_by(*whole, mask, kernel);
        EXPECT_EQ(grown.out, at_once.out);
        EXPECT_EQ(grown.lse, at_once.lse);
      }
    }
  }
  const RandomProblem other(shape, DType::kBFloat16, true, 5);
  const auto device = open_cuda_backend(problem.inputs, {});
  EXPECT_THROW(device->show(other.inputs), ShapeError);
}

// What already lies on the device is read there.
TEST(CudaBackend, InputsInDeviceMemoryGiveTheSame) {
  SKIP_WITHOUT_DEVICE();
  const AttentionShape shape{
      .query_heads = 4, .kv_heads = 2, .query_len = 70, .key_len = 200, .head_dim = 64};
  const RandomProblem problem(shape, DType::kBFloat16, true, 6);
  cuda::CudaBackend host(problem.inputs, {});
  AttentionInputs on_device = problem.inputs;
  on_device.q = host.problem().tensors().q;
  on_device.k = host.problem().tensors().k;
  on_device.v = host.problem().tensors().v;
  EXPECT_EQ(on_device.k.memory, MemorySpace::kDevice);
  cuda::CudaBackend device(on_device, {});
  EXPECT_EQ(device.problem().arguments().k, on_device.k.data);
  const Mask mask = random_mask(problem.inputs.visibility, {1, 4}, {.sampled = true}, 7);
  for (const char* kernel : kKernels) {
    EXPECT_EQ(attend_by(device, mask, kernel).out, attend_by(host, mask, kernel).out) << kernel;
  }
  try {
    open_backend("cpu", on_device);
    FAIL() << "no error";
  } catch (const UnavailableError& error) {
    EXPECT_STREQ(error.what(),
                 "q, k or v lies in the memory of a device, which the cpu backend cannot read; "
                 "copy it to the host, or use the backend of that device");
  }
}

TEST(CudaBackend, WeightsAreThoseOfTheHost) {
  SKIP_WITHOUT_DEVICE();
  for (const DType dtype : {DType::kFloat32, DType::kFloat16, DType::kBFloat16}) {
    const AttentionShape shape{
        .batch = 2, .query_heads = 4, .kv_heads = 2, .query_len = 5, .key_len = 90, .head_dim = 40};
    const RandomProblem problem(shape, dtype, true, 8);
    const Mask mask = random_mask(problem.inputs.visibility, {1, 4}, {.sampled = true}, 9);
    const auto device = open_cuda_backend(problem.inputs, {});
    const AttentionWeights weighed = device->weigh(*device->take(mask));
    const AttentionWeights host = weigh_on_host(problem.inputs, mask, Threads(1));
    EXPECT_EQ(weighed.offsets, host.offsets);
    EXPECT_EQ(weighed.keys, host.keys);
    ASSERT_EQ(weighed.weights.size(), host.weights.size());
    for (std::size_t i = 0; i < host.weights.size(); ++i) {
      ASSERT_NEAR(weighed.weights[i], host.weights[i], 1e-6);
    }
  }
}

// With the cuDNN that is installed.
TEST(CudaBackend, CudnnEqualsTheOracle) {
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
        const auto device = open_cuda_backend(problem.inputs, {});
        const Mask full = Mask::full(problem.inputs.visibility);
        expect_oracle(problem.inputs, full, attend_by(*device, full, "cudnn"),
                      tolerance_of(shape, dtype), 7);
      }
    }
  }
}

TEST(CudaBackend, RoofsAreMeasuredOnTheDevice) {
  SKIP_WITHOUT_DEVICE();
  const DeviceRoofs roofs = measure_device_roofs();
  EXPECT_GT(roofs.l2_read_bytes_per_second, 0);
  EXPECT_GT(roofs.copy_bytes_per_second, 0);
  EXPECT_GT(roofs.matrix_flops_per_second, 0);
}

TEST(CudaBackend, RefusesWhatDoesNotFit) {
  SKIP_WITHOUT_DEVICE();
  const RandomProblem wide({.head_dim = 257}, DType::kFloat32, false, 1);
  EXPECT_THROW(open_cuda_backend(wide.inputs, {}), ShapeError);
  const RandomProblem problem({.key_len = 4, .head_dim = 64}, DType::kFloat32, false, 1);
  const auto device = open_cuda_backend(problem.inputs, {});
  EXPECT_THROW(device->take(Mask::full(Visibility::all(1, 5))), ShapeError);
}

}  // namespace
}  // namespace maskerade
