#include <cuda_runtime.h>

#include "framework/tensor/cuda/device_code.hpp"

namespace maskerade {
namespace {

// Compiled for what all kernels are compiled for.
__global__ void nothing_kernel() {}

}  // namespace

cudaError_t find_device_code() noexcept {
  cudaFuncAttributes attributes = {};
  return cudaFuncGetAttributes(&attributes, nothing_kernel);
}

}  // namespace maskerade
