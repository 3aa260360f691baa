#pragma once

#include <cuda.h>

#include "attention/cuda/detail/device_lane.cuh"
#include "attention/cuda/detail/tensor_tiles.hpp"

namespace maskerade::cuda {

// One thread of a block on sm_90a: a DeviceLane that also has warpgroup products (wgmma), the copy
// engine and barriers in shared memory. Tests run its kernels with EmulatedHopperLane.
class HopperLane : public DeviceLane {
 public:
  using TensorMap = CUtensorMap;

  __device__ __forceinline__ static std::uint32_t shared_address(const void* shared) {
    return static_cast<std::uint32_t>(__cvta_generic_to_shared(shared));
  }

  // From here on each thread of the warpgroup has kRegisters registers, fewer or more than before.
  // All four warps call it. take_registers() waits until other warpgroups have given enough.
  template <int kRegisters>
  __device__ __forceinline__ void give_registers() const {
    asm volatile("setmaxnreg.dec.sync.aligned.u32 %0;" ::"n"(kRegisters));
  }
  template <int kRegisters>
  __device__ __forceinline__ void take_registers() const {
    asm volatile("setmaxnreg.inc.sync.aligned.u32 %0;" ::"n"(kRegisters));
  }

  // Makes a barrier in shared memory. It goes through phases; one ends when `arrivals` arrivals and
  // all bytes that they expect have come. One thread calls it.
  __device__ __forceinline__ void init_barrier(std::uint64_t* barrier, int arrivals) const {
    asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(shared_address(barrier)),
                 "r"(arrivals)
                 : "memory");
  }
  // Makes the barriers of the calling thread known to the copy engine. Call it after init_barrier()
  // and before a sync() of the block.
  __device__ __forceinline__ void publish_barriers() const {
    asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
    asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
  }
  __device__ __forceinline__ void arrive(std::uint64_t* barrier) const {
    asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0];" ::"r"(shared_address(barrier))
                 : "memory");
  }
  // Arrives, and makes the phase expect that many bytes more from the copy engine.
  __device__ __forceinline__ void arrive_expecting(std::uint64_t* barrier, int bytes) const {
    asm volatile(
        "mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(shared_address(barrier)),
        "r"(bytes)
        : "memory");
  }
  // Waits until the phase of that parity has ended: 0 for the first phase, then 1, 0, ... in turn.
  __device__ __forceinline__ void wait(std::uint64_t* barrier, int parity) const {
    asm volatile(
        "{\n"
        ".reg .pred done;\n"
        "again:\n"
        "mbarrier.try_wait.parity.shared::cta.b64 done, [%0], %1;\n"
        "@done bra ended;\n"
        "bra again;\n"
        "ended:\n"
        "}" ::"r"(shared_address(barrier)),
        "r"(parity)
        : "memory");
  }

  // Starts the copy of a box of a tensor (TensorTiles) to shared memory aligned to 1024 bytes;
  // zeros beyond the tensor's end. Its bytes arrive at the barrier.
  __device__ __forceinline__ void copy_box(std::byte* shared,
                                           const TensorMap& map,
                                           const BoxOrigin& origin,
                                           std::uint64_t* barrier) const {
    asm volatile(
        "cp.async.bulk.tensor.3d.shared::cluster.global.mbarrier::complete_tx::bytes "
        "[%0], [%1, {%2, %3, %4}], [%5];" ::"r"(shared_address(shared)),
        "l"(&map), "r"(origin.dim), "r"(origin.key), "r"(origin.slice), "r"(shared_address(barrier))
        : "memory");
  }
  // Brings a tensor map into the cache of tensor maps.
  __device__ __forceinline__ void prefetch(const TensorMap& map) const {
    asm volatile("prefetch.tensormap [%0];" ::"l"(&map) : "memory");
  }

  // Loads 4 aligned bytes of global memory.
  __device__ __forceinline__ std::uint32_t load_word(const std::byte* global) const {
    return __ldg(reinterpret_cast<const std::uint32_t*>(global));
  }

  // Call it after registers that a product reads or adds to were written, and before the product.
  __device__ __forceinline__ void fence_products() const {
    asm volatile("wgmma.fence.sync.aligned;" ::: "memory");
  }
  // Makes a group of the products that were started since the group before.
  __device__ __forceinline__ void commit_products() const {
    asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory");
  }
  // Waits until at most the last kPending groups of products are under way.
  template <int kPending>
  __device__ __forceinline__ void wait_products() const {
    asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(kPending) : "memory");
  }
  // Call it beside a wait for products. It keeps the compiler from moving code that writes these
  // registers to after it, or code that reads or reuses them to before it.
  template <int kGroups>
  __device__ __forceinline__ void settle(float (&c)[kGroups][4]) const {
#pragma unroll
    for (int n = 0; n < kGroups; ++n) {
      asm volatile("" : "+f"(c[n][0]), "+f"(c[n][1]), "+f"(c[n][2]), "+f"(c[n][3])::"memory");
    }
  }
  template <int kSteps>
  __device__ __forceinline__ void settle(std::uint32_t (&a)[kSteps][4]) const {
#pragma unroll
    for (int s = 0; s < kSteps; ++s) {
      asm volatile("" : "+r"(a[s][0]), "+r"(a[s][1]), "+r"(a[s][2]), "+r"(a[s][3])::"memory");
    }
  }

  // Starts c[64][N] = a[64][16] b[16][N], with c added when is_sum, by the whole warpgroup: float32
  // sums, N = 8 kGroups. Each thread holds its fragments of c and a (PTX ISA, wgmma.mma_async); b
  // is the matrix descriptor of memory in shared memory, N-major when kIsTransposed. c, a and that
  // memory must be left alone until the product's group has been waited for.
  template <DType kType, bool kIsTransposed, int kGroups>
  __device__ __forceinline__ void multiply_group(float (&c)[kGroups][4],
                                                 const std::uint32_t (&a)[4],
                                                 std::uint64_t b,
                                                 bool is_sum) const {
    static_assert(kGroups == 8 || kGroups == 16, "N is 64 or 128");
    constexpr int kTranspose = kIsTransposed ? 1 : 0;
#define MASKERADE_C(n) "+f"(c[n][0]), "+f"(c[n][1]), "+f"(c[n][2]), "+f"(c[n][3])
#define MASKERADE_WGMMA_64(type)                                                                \
  asm volatile(                                                                                 \
      "{\n"                                                                                     \
      ".reg .pred p;\n"                                                                         \
      "setp.ne.b32 p, %37, 0;\n"                                                                \
      "wgmma.mma_async.sync.aligned.m64n64k16.f32." type "." type                               \
      " {%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, %16, %17, %18, " \
      "%19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31}, "                      \
      "{%32, %33, %34, %35}, %36, p, 1, 1, %38;\n"                                              \
      "}"                                                                                       \
      : MASKERADE_C(0), MASKERADE_C(1), MASKERADE_C(2), MASKERADE_C(3), MASKERADE_C(4),         \
        MASKERADE_C(5), MASKERADE_C(6), MASKERADE_C(7)                                          \
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b), "r"(int{is_sum}), "n"(kTranspose))
#define MASKERADE_WGMMA_128(type)                                                               \
  asm volatile(                                                                                 \
      "{\n"                                                                                     \
      ".reg .pred p;\n"                                                                         \
      "setp.ne.b32 p, %69, 0;\n"                                                                \
      "wgmma.mma_async.sync.aligned.m64n128k16.f32." type "." type                              \
      " {%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, %16, %17, %18, " \
      "%19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31, %32, %33, %34, %35, "   \
      "%36, %37, %38, %39, %40, %41, %42, %43, %44, %45, %46, %47, %48, %49, %50, %51, %52, "   \
      "%53, %54, %55, %56, %57, %58, %59, %60, %61, %62, %63}, "                                \
      "{%64, %65, %66, %67}, %68, p, 1, 1, %70;\n"                                              \
      "}"                                                                                       \
      : MASKERADE_C(0), MASKERADE_C(1), MASKERADE_C(2), MASKERADE_C(3), MASKERADE_C(4),         \
        MASKERADE_C(5), MASKERADE_C(6), MASKERADE_C(7), MASKERADE_C(8), MASKERADE_C(9),         \
        MASKERADE_C(10), MASKERADE_C(11), MASKERADE_C(12), MASKERADE_C(13), MASKERADE_C(14),    \
        MASKERADE_C(15)                                                                         \
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b), "r"(int{is_sum}), "n"(kTranspose))
    if constexpr (kGroups == 8) {
      if constexpr (kType == DType::kBFloat16) {
        MASKERADE_WGMMA_64("bf16");
      } else {
        MASKERADE_WGMMA_64("f16");
      }
    } else {
      if constexpr (kType == DType::kBFloat16) {
        MASKERADE_WGMMA_128("bf16");
      } else {
        MASKERADE_WGMMA_128("f16");
      }
    }
#undef MASKERADE_WGMMA_128
#undef MASKERADE_WGMMA_64
#undef MASKERADE_C
  }
};

}  // namespace maskerade::cuda
