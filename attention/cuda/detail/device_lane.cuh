#pragma once

#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include <cstddef>
#include <cstdint>

#include "framework/tensor/dtype.hpp"

namespace maskerade::cuda {

// One thread of a block: the machine's operations that the kernels use, in PTX. Kernels take the
// lane as a template parameter, so that tests run them on the CPU with EmulatedLane, whose
// functions do the same in plain C++.
class DeviceLane {
 public:
  __device__ __forceinline__ int thread() const { return static_cast<int>(threadIdx.x); }
  __device__ __forceinline__ int in_warp() const { return static_cast<int>(threadIdx.x % 32); }
  __device__ __forceinline__ std::int64_t block() const { return blockIdx.x; }

  __device__ __forceinline__ void sync() const { __syncthreads(); }
  __device__ __forceinline__ void sync_warp() const { __syncwarp(); }
  __device__ __forceinline__ bool all_in_warp(bool value) const {
    return __all_sync(kAll, value) != 0;
  }
  __device__ __forceinline__ float shuffle_xor(float value, int distance) const {
    return __shfl_xor_sync(kAll, value, distance);
  }
  __device__ __forceinline__ float shuffle(float value, int source) const {
    return __shfl_sync(kAll, value, source);
  }
  __device__ __forceinline__ int shuffle(int value, int source) const {
    return __shfl_sync(kAll, value, source);
  }

  __device__ __forceinline__ float exp2(float x) const {
    float y;
    asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
    return y;
  }

  // Starts the copy of 16 bytes from global to shared memory, both aligned to 16 bytes; zeros are
  // written instead when !is_valid. It arrives when its group does, see commit_copies().
  __device__ __forceinline__ void copy_async(std::byte* shared,
                                             const std::byte* global,
                                             bool is_valid) const {
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(address(shared)),
                 "l"(global), "r"(is_valid ? 16 : 0)
                 : "memory");
  }
  // Makes a group of the copies that this thread has started since the group before.
  __device__ __forceinline__ void commit_copies() const {
    asm volatile("cp.async.commit_group;" ::: "memory");
  }
  // Waits until at most the last kPending of this thread's groups have not arrived.
  template <int kPending>
  __device__ __forceinline__ void wait_copies() const {
    asm volatile("cp.async.wait_group %0;" ::"n"(kPending) : "memory");
  }

  // Loads four 8 x 8 matrices of 16-bit elements from shared memory to the warp's registers: lane
  // 8 i + r gives the address of row r of matrix i. PTX ISA, ldmatrix.
  __device__ __forceinline__ void load_matrices(std::uint32_t (&r)[4], const std::byte* row) const {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
                 : "r"(address(row))
                 : "memory");
  }
  // The same, each matrix transposed.
  __device__ __forceinline__ void load_matrices_transposed(std::uint32_t (&r)[4],
                                                           const std::byte* row) const {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
                 : "r"(address(row))
                 : "memory");
  }
  // c[16][8] += a[16][16] b[16][8] by the whole warp, float32 sums. Each lane holds the fragments
  // of PTX ISA, mma.m16n8k16.
  template <DType kType>
  __device__ __forceinline__ void multiply(float (&c)[4],
                                           const std::uint32_t (&a)[4],
                                           std::uint32_t b0,
                                           std::uint32_t b1) const {
    if constexpr (kType == DType::kBFloat16) {
      asm("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, "
          "{%8, %9}, {%0, %1, %2, %3};"
          : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
          : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
    } else {
      asm("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, "
          "{%8, %9}, {%0, %1, %2, %3};"
          : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
          : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
    }
  }
  // Two numbers rounded to kType, the first in the lower half of the result.
  template <DType kType>
  __device__ __forceinline__ std::uint32_t pack(float first, float second) const {
    std::uint32_t packed;
    if constexpr (kType == DType::kBFloat16) {
      asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(packed) : "f"(second), "f"(first));
    } else {
      asm("cvt.rn.f16x2.f32 %0, %1, %2;" : "=r"(packed) : "f"(second), "f"(first));
    }
    return packed;
  }

  // Element `index` of an array of kType in global memory, widened to float32.
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
  // Stores two numbers to global or shared memory aligned to 8 bytes.
  __device__ __forceinline__ void store_pair(float* to, float first, float second) const {
    *reinterpret_cast<float2*>(to) = make_float2(first, second);
  }

 private:
  static constexpr unsigned kAll = 0xFFFFFFFFU;

  __device__ __forceinline__ static std::uint32_t address(const void* shared) {
    return static_cast<std::uint32_t>(__cvta_generic_to_shared(shared));
  }
};

}  // namespace maskerade::cuda
