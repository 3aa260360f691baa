#pragma once

#include <cstdint>

#include "framework/sdk/low_bits.hpp"

// MASKERADE_HOST_DEVICE marks a function that is compiled for the host and for the device, so that
// tests run on the CPU what the GPU runs. MASKERADE_DEVICE marks code of kernels: nvcc compiles it
// for the device alone, a host compiler as plain functions, which tests run in an emulated block of
// threads. MASKERADE_UNROLL unrolls the loop that follows, MASKERADE_KEEP_LOOP keeps it a loop.
#if defined(__CUDACC__)
#define MASKERADE_HOST_DEVICE __host__ __device__ __forceinline__
#define MASKERADE_DEVICE __device__ __forceinline__
#define MASKERADE_UNROLL _Pragma("unroll")
#define MASKERADE_KEEP_LOOP _Pragma("unroll 1")
#else
#define MASKERADE_HOST_DEVICE inline
#define MASKERADE_DEVICE inline
#define MASKERADE_UNROLL
#define MASKERADE_KEEP_LOOP
#endif

namespace maskerade::cuda {

// The number of set bits.
MASKERADE_HOST_DEVICE int popcount(std::uint64_t word) {
#if defined(__CUDA_ARCH__)
  return __popcll(word);
#else
  return __builtin_popcountll(word);
#endif
}

// The number of the lowest set bit, from 0. Requires that the word is not 0.
MASKERADE_HOST_DEVICE int lowest_bit(std::uint64_t word) {
#if defined(__CUDA_ARCH__)
  return __ffsll(static_cast<long long>(word)) - 1;
#else
  return __builtin_ctzll(word);
#endif
}

using sdk::low_bits;

// a / b, rounded up. Requires a >= 0 and b > 0.
MASKERADE_HOST_DEVICE std::int64_t ceil_div(std::int64_t a, std::int64_t b) {
  return (a + b - 1) / b;
}

template <typename T>
MASKERADE_HOST_DEVICE T smaller(T a, T b) {
  return b < a ? b : a;
}

template <typename T>
MASKERADE_HOST_DEVICE T larger(T a, T b) {
  return a < b ? b : a;
}

// The whole numbers from begin on, below end.
struct Range {
  std::int64_t begin = 0;
  std::int64_t end = 0;

  // The range cut into `parts` neighbouring ranges, whose sizes differ by at most one: number
  // `part` of them, from 0.
  MASKERADE_HOST_DEVICE Range split(std::int64_t part, std::int64_t parts) const {
    const std::int64_t size = end - begin;
    return {begin + size * part / parts, begin + size * (part + 1) / parts};
  }
};

}  // namespace maskerade::cuda
