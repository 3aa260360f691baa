#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>

#include "framework/tensor/cuda/host_device.hpp"

// What the roofs of a device are measured with. All enqueue, and throw CudaError when a launch is
// refused.
namespace maskerade::cuda {

// Element i of [0, count) becomes a random bfloat16 between -1 and 1.
struct FillRandom {
  std::uint16_t* values;

  MASKERADE_DEVICE void operator()(std::int64_t i) const {
    std::uint64_t hash = static_cast<std::uint64_t>(i) * 0x9E3779B97F4A7C15U + 1;
    hash ^= hash >> 29;
    hash *= 0xBF58476D1CE4E5B9U;
    hash ^= hash >> 32;
    // A sign, an exponent of 1/2, and seven random bits of the fraction.
    values[i] = static_cast<std::uint16_t>((hash & 0x807FU) | 0x3F00U);
  }
};
void fill_random(const FillRandom& body, std::int64_t count, cudaStream_t stream);

struct alignas(16) Words16 {
  std::uint64_t low, high;
};

// Call i reads kReads pieces of 16 bytes of a ring of `pieces` (fewer than 2^28), all 0; what is
// not 0 goes to *odd, so that no read is left out.
struct ReadRing {
  static constexpr int kReads = 8;

  const Words16* ring;
  std::uint32_t pieces;
  std::uint64_t* odd;

  MASKERADE_DEVICE void operator()(std::int64_t i) const {
    const std::uint32_t threads = pieces / kReads;
    const std::uint32_t first = static_cast<std::uint32_t>(i) % threads;
    std::uint64_t seen = 0;
    MASKERADE_UNROLL
    for (int read = 0; read < kReads; ++read) {
      const Words16* at = ring + first + static_cast<std::uint32_t>(read) * threads;
#if defined(__CUDA_ARCH__)
      const ulonglong2 words = __ldcg(reinterpret_cast<const ulonglong2*>(at));
      seen |= words.x | words.y;
#else
      seen |= at->low | at->high;
#endif
    }
    if (seen != 0) *odd = seen;
  }
};
void read_ring(const ReadRing& body, std::int64_t calls, cudaStream_t stream);

// Products of bfloat16 fragments in registers by mma.sync, `rounds` by each warp of `blocks`
// blocks. sink: one float. Returns the flops.
double multiply_registers(float* sink, int blocks, int rounds, cudaStream_t stream);

}  // namespace maskerade::cuda
