#include "framework/tensor/cuda/device.hpp"

#include <gtest/gtest.h>

#include <numeric>
#include <span>
#include <string>
#include <vector>

#include "framework/tensor/cuda/device_buffer.hpp"
#include "framework/tensor/cuda/host_steps.hpp"
#include "framework/tensor/cuda/scan.hpp"
#include "framework/tensor/cuda/stream.hpp"

#define SKIP_WITHOUT_DEVICE() \
  if (!cuda_device().is_available) GTEST_SKIP() << cuda_device().reason

namespace maskerade {
namespace {

TEST(CudaDevice, SaysWhatItIsOrWhyItIsNot) {
  const CudaDevice& device = cuda_device();
  EXPECT_NE(device.is_available, device.name.empty() || !device.reason.empty());
  EXPECT_EQ(&cuda_device(), &device);
}

TEST(CudaError, NamesTheCallAndTheCode) {
  try {
    check_cuda(cudaErrorInvalidValue, "cudaMemcpyAsync");
    FAIL() << "no error";
  } catch (const CudaError& error) {
    EXPECT_TRUE(
        std::string(error.what()).starts_with("cudaMemcpyAsync failed with CUDA error 1 ("));
    EXPECT_EQ(error.call(), "cudaMemcpyAsync");
    EXPECT_EQ(error.code(), cudaErrorInvalidValue);
  }
}

TEST(DeviceBuffer, GivesBackWhatItWasGiven) {
  SKIP_WITHOUT_DEVICE();
  const CudaStream stream;
  std::vector<std::int32_t> values(100'003);
  std::iota(values.begin(), values.end(), -5);
  DeviceBuffer<std::int32_t> buffer(std::span<const std::int32_t>(values), stream.get());
  EXPECT_EQ(buffer.download(), values);
  const DeviceBuffer<std::int32_t> moved = std::move(buffer);
  moved.fill_bytes(0);
  EXPECT_EQ(moved.download(), std::vector<std::int32_t>(values.size()));
  const DeviceBuffer<std::int32_t> none(std::span<const std::int32_t>{}, stream.get());
  EXPECT_TRUE(none.download().empty());
}

TEST(ExclusiveSum, EqualsTheHosts) {
  SKIP_WITHOUT_DEVICE();
  const CudaStream stream;
  for (const std::int64_t count : {0, 1, 255, 70'000, 1'000'001}) {
    std::vector<std::int64_t> values(static_cast<std::size_t>(count + 1));
    for (std::size_t i = 0; i < values.size(); ++i) {
      values[i] = static_cast<std::int64_t>(i % 7) << (i % 33);
    }
    const DeviceBuffer<std::int64_t> buffer(std::span<const std::int64_t>(values), stream.get());
    exclusive_sum_on_device(buffer.data(), count + 1, stream.get());
    HostSteps().exclusive_sum(values.data(), count);
    EXPECT_EQ(buffer.download(), values);
  }
}

}  // namespace
}  // namespace maskerade
