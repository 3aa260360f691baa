#pragma once

#include <cuda_runtime.h>

#include <cstdint>

#include "framework/tensor/cuda/cuda_error.hpp"
#include "framework/tensor/cuda/host_device.hpp"
#include "framework/tensor/cuda/scan.hpp"

namespace maskerade {

// Calls body(i) for every i in [0, count), with any number of threads.
template <typename Body>
__global__ void for_each_index_kernel(std::int64_t count, Body body) {
  const std::int64_t step = static_cast<std::int64_t>(gridDim.x) * blockDim.x;
  for (std::int64_t i = blockIdx.x * static_cast<std::int64_t>(blockDim.x) + threadIdx.x; i < count;
       i += step) {
    body(i);
  }
}

// Runs steps on the device: enqueues them in a stream, one after the other, and does not wait for
// them. Has the functions of HostSteps, over device memory. They throw CudaError.
class DeviceSteps {
 public:
  explicit DeviceSteps(cudaStream_t stream) : stream_(stream) {}

  // Calls body(i), on the device, for every i in [0, count), in no particular order.
  template <typename Body>
  void for_each(std::int64_t count, const Body& body) const {
    constexpr std::int64_t kThreads = 256;
    constexpr std::int64_t kMostBlocks = 1 << 20;
    if (count <= 0) return;
    const auto blocks = smaller_of(cuda::ceil_div(count, kThreads), kMostBlocks);
    for_each_index_kernel<<<static_cast<unsigned>(blocks), kThreads, 0, stream_>>>(count, body);
    check_launch("for_each_index_kernel");
  }
  // Replaces each of values[0 .. count) by the sum of those before it, and writes the sum of all to
  // values[count].
  void exclusive_sum(std::int64_t* values, std::int64_t count) const {
    exclusive_sum_on_device(values, count + 1, stream_);
  }

 private:
  static std::int64_t smaller_of(std::int64_t a, std::int64_t b) { return a < b ? a : b; }

  cudaStream_t stream_;
};

}  // namespace maskerade
