#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>

#include "framework/tensor/cuda/host_device.hpp"

// The kernels by which measure_device_roofs() measures a device. The functions enqueue on the
// stream and do not wait; they throw CudaError when a launch is refused.
namespace maskerade::cuda {

// Call i sets values[i] to a random bfloat16 number of either sign and an absolute value in [0.5,
// 1).
struct FillRandom {
  std::uint16_t* values;  // [count] bfloat16

  MASKERADE_DEVICE void operator()(std::int64_t i) const {
    std::uint64_t hash = static_cast<std::uint64_t>(i) * 0x9E3779B97F4A7C15U + 1;
    hash ^= hash >> 29;
    hash *= 0xBF58476D1CE4E5B9U;
    hash ^= hash >> 32;
    // A random sign, the exponent of 1/2, and seven random bits of the fraction.
    values[i] = static_cast<std::uint16_t>((hash & 0x807FU) | 0x3F00U);
  }
};
void fill_random(const FillRandom& body, std::int64_t count, cudaStream_t stream);

// 16 bytes, which one instruction reads.
struct alignas(16) Words16 {
  std::uint64_t low, high;
};

// Call i reads kReads words of a ring of zeros, so that every pieces / kReads calls read all of it;
// they go past the first-level cache. Rationale for odd: a word other than 0 would be stored there,
// so that the compiler cannot leave out the reads.
struct ReadRing {
  static constexpr int kReads = 8;

  const Words16* ring;   // [pieces] zeros
  std::uint32_t pieces;  // a multiple of kReads, less than 2^28
  std::uint64_t* odd;    // one word

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

// Multiplies bfloat16 matrices in registers by mma.sync: `rounds` rounds by each warp of `blocks`
// blocks. Returns their floating-point operations. sink: one float in device memory; it is
// practically never written, but keeps the compiler from leaving out the products.
double multiply_registers(float* sink, int blocks, int rounds, cudaStream_t stream);

}  // namespace maskerade::cuda
