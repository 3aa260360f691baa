#pragma once

#include <cuda_runtime_api.h>

namespace maskerade {

// cudaSuccess when the kernels of this build can run on the current device;
// cudaErrorNoKernelImageForDevice when they were compiled for other architectures only.
cudaError_t find_device_code() noexcept;

}  // namespace maskerade
