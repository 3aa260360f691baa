#pragma once

#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include <cstdint>

#include "framework/tensor/dtype.hpp"

namespace maskerade::cuda {

// One thread of a block: what the selection kernels ask of the machine. Its counterpart on the CPU
// is EmulatedThread, in the tests.
class DeviceThread {
 public:
  __device__ __forceinline__ int thread() const { return static_cast<int>(threadIdx.x); }
  __device__ __forceinline__ std::int64_t block() const { return blockIdx.x; }
  __device__ __forceinline__ void sync() const { __syncthreads(); }
  // Bit l: what thread l of the warp gives.
  __device__ __forceinline__ std::uint32_t ballot(bool value) const {
    return __ballot_sync(0xFFFFFFFFU, value);
  }
  __device__ __forceinline__ void atomic_add(int* to, int value) const { atomicAdd(to, value); }
  __device__ __forceinline__ void atomic_or(std::uint32_t* to, std::uint32_t value) const {
    atomicOr(to, value);
  }
  // Element `index` of an array, widened.
  template <DType kType>
  __device__ __forceinline__ float load(const void* data, std::int64_t index) const {
    if constexpr (kType == DType::kFloat32) {
      return static_cast<const float*>(data)[index];
    } else if constexpr (kType == DType::kFloat16) {
      return __half2float(static_cast<const __half*>(data)[index]);
    } else {
      return __bfloat162float(static_cast<const __nv_bfloat16*>(data)[index]);
    }
  }
};

}  // namespace maskerade::cuda
