#pragma once

#include <cuda_runtime_api.h>

namespace maskerade {

// cudaSuccess when this build's kernels run on the current device; cudaErrorNoKernelImageForDevice
// when it was compiled for others alone.
cudaError_t find_device_code() noexcept;

}  // namespace maskerade
