#pragma once

#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include <cstdint>

#include "framework/tensor/dtype.hpp"

namespace maskerade::cuda {

// One thread of a block, with what the selection kernels need of the device. In tests
// EmulatedThread stands in its place, so that the kernels run on the CPU.
class DeviceThread {
 public:
  __device__ __forceinline__ int thread() const { return static_cast<int>(threadIdx.x); }
  __device__ __forceinline__ std::int64_t block() const { return blockIdx.x; }
  // Waits for all threads of the block.
  __device__ __forceinline__ void sync() const { __syncthreads(); }
  // Bit l of the result: the value that thread l of the warp gives. Called by all threads of a
  // warp.
  __device__ __forceinline__ std::uint32_t ballot(bool value) const {
    return __ballot_sync(0xFFFFFFFFU, value);
  }
  __device__ __forceinline__ void atomic_add(int* to, int value) const { atomicAdd(to, value); }
  __device__ __forceinline__ void atomic_or(std::uint32_t* to, std::uint32_t value) const {
    atomicOr(to, value);
  }
  // Element `index` of an array of kType, widened to float32.
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
