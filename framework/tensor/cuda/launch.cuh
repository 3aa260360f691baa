#pragma once

#include <cuda_runtime.h>

#include <cstdint>

#include "framework/tensor/cuda/cuda_error.hpp"
#include "framework/tensor/cuda/host_device.hpp"
#include "framework/tensor/cuda/scan.hpp"

namespace maskerade {

template <typename Body>
__global__ void for_each_index_kernel(std::int64_t count, Body body) {
  const std::int64_t step = static_cast<std::int64_t>(gridDim.x) * blockDim.x;
  for (std::int64_t i = blockIdx.x * static_cast<std::int64_t>(blockDim.x) + threadIdx.x; i < count;
       i += step) {
    body(i);
  }
}

// Runs steps on the device, one after the other in a stream; see HostSteps.
class DeviceSteps {
 public:
  explicit DeviceSteps(cudaStream_t stream) : stream_(stream) {}

  template <typename Body>
  void for_each(std::int64_t count, const Body& body) const {
    constexpr std::int64_t kThreads = 256;
    constexpr std::int64_t kMostBlocks = 1 << 20;
    if (count <= 0) return;
    const auto blocks = smaller_of(cuda::ceil_div(count, kThreads), kMostBlocks);
    for_each_index_kernel<<<static_cast<unsigned>(blocks), kThreads, 0, stream_>>>(count, body);
    check_launch("for_each_index_kernel");
  }
  // In place: values[i] becomes the sum of the values before i; values[count] the sum of all.
  void exclusive_sum(std::int64_t* values, std::int64_t count) const {
    exclusive_sum_on_device(values, count + 1, stream_);
  }

 private:
  static std::int64_t smaller_of(std::int64_t a, std::int64_t b) { return a < b ? a : b; }

  cudaStream_t stream_;
};

}  // namespace maskerade
