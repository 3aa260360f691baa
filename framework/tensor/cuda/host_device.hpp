#pragma once

#include <cstdint>

#include "framework/sdk/low_bits.hpp"

// Functions that compile for both host and device, so that tests run on the CPU what a GPU runs;
// and device code that a host compiler sees as plain functions, to be run by an emulated block.
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

MASKERADE_HOST_DEVICE int popcount(std::uint64_t word) {
#if defined(__CUDA_ARCH__)
  return __popcll(word);
#else
  return __builtin_popcountll(word);
#endif
}

// The lowest set bit's number; word is not 0.
MASKERADE_HOST_DEVICE int lowest_bit(std::uint64_t word) {
#if defined(__CUDA_ARCH__)
  return __ffsll(static_cast<long long>(word)) - 1;
#else
  return __builtin_ctzll(word);
#endif
}

using sdk::low_bits;

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

// [begin, end).
struct Range {
  std::int64_t begin = 0;
  std::int64_t end = 0;

  // Part `part` of `parts`; parts differ by at most one element.
  MASKERADE_HOST_DEVICE Range split(std::int64_t part, std::int64_t parts) const {
    const std::int64_t size = end - begin;
    return {begin + size * part / parts, begin + size * (part + 1) / parts};
  }
};

}  // namespace maskerade::cuda
