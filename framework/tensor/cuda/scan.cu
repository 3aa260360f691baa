#include <cub/device/device_scan.cuh>

#include "framework/tensor/cuda/device_buffer.hpp"
#include "framework/tensor/cuda/launch.cuh"

namespace maskerade {

void exclusive_sum_on_device(std::int64_t* values, std::int64_t count, cudaStream_t stream) {
  std::size_t bytes = 0;
  check_cuda(cub::DeviceScan::ExclusiveSum(nullptr, bytes, values, values, count, stream),
             "cub::DeviceScan::ExclusiveSum");
  const DeviceBuffer<std::byte> scratch(static_cast<std::int64_t>(bytes), stream);
  check_cuda(cub::DeviceScan::ExclusiveSum(scratch.data(), bytes, values, values, count, stream),
             "cub::DeviceScan::ExclusiveSum");
}

}  // namespace maskerade
