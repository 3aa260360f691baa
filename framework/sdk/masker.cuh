// The tools of a masker's device path: plain structs of device pointers that are handed to kernels
// by value, and functions that launch a kernel over them. nvcc compiles them for the device. A host
// compiler turns each launch into a loop over host memory, so that tests run device paths where
// there is no device.
//
//   struct FirstKeys {
//     std::int64_t keys;
//     MASKERADE_KERNEL std::uint64_t operator()(const device::Rows&, const device::MaskRow&,
//                                               std::int64_t word) const {
//       return device::range_bits(0, keys, word);
//     }
//   };
//   device::add_words(call, FirstKeys{128});
//
// A body is a struct with a call operator that is MASKERADE_KERNEL; each call of it is a thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <string>

#include "framework/sdk/low_bits.hpp"
#include "framework/sdk/masker_abi.h"
#include "framework/sdk/philox.hpp"
#include "framework/sdk/pieces.hpp"

#if defined(__CUDACC__)
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_runtime.h>
#define MASKERADE_KERNEL __host__ __device__ __forceinline__
#else
#include <cstring>
#define MASKERADE_KERNEL inline
#endif

namespace maskerade::sdk::device {

// Throws when a host service refused; the host has kept the reason, which the user sees.
inline void require_ok(std::int32_t status) {
  if (status != MASKERADE_OK) throw std::runtime_error("a host service refused");
}

MASKERADE_KERNEL int popcount(std::uint64_t word) {
#if defined(__CUDA_ARCH__)
  return __popcll(word);
#else
  return __builtin_popcountll(word);
#endif
}

using sdk::low_bits;

// The bits of keys [key_begin, key_end) in word `word` of a row.
MASKERADE_KERNEL std::uint64_t range_bits(std::int64_t key_begin,
                                          std::int64_t key_end,
                                          std::int64_t word) {
  return low_bits(key_end - word * 64) & ~low_bits(key_begin - word * 64);
}

template <typename T>
MASKERADE_KERNEL T smaller(T a, T b) {
  return b < a ? b : a;
}
template <typename T>
MASKERADE_KERNEL T larger(T a, T b) {
  return a < b ? b : a;
}

// One row of a selection.
struct MaskRow {
  std::int64_t row;    // its number, as maskerade_cuda_rows counts
  std::int64_t batch;  // 0 where the selection is the same for all batch entries
  std::int64_t head;   // query head; 0 where the selection is the same for all heads
  std::int64_t query;
};

// The rows of a selection: which keys each sees, and which are active in it.
struct Rows : maskerade_cuda_rows {
  MASKERADE_KERNEL explicit Rows(const maskerade_cuda_rows& of) : maskerade_cuda_rows(of) {}

  MASKERADE_KERNEL std::int64_t count() const { return batch * heads * query_len; }
  MASKERADE_KERNEL MaskRow row_at(std::int64_t row) const {
    const std::int64_t slice = row / query_len;
    return {row, slice / heads, slice % heads, row % query_len};
  }
  MASKERADE_KERNEL std::int64_t visible_len(std::int64_t query) const {
    return visible_ends[query];
  }
  MASKERADE_KERNEL std::uint64_t visible_word(std::int64_t query, std::int64_t word) const {
    return low_bits(visible_ends[query] - word * 64);
  }
  // One bit per key of a word that is active, with whatever probability.
  MASKERADE_KERNEL std::uint64_t active_word(std::int64_t row, std::int64_t word) const {
    const std::uint64_t ones = bits[row * words + word];
    return sampled_bits == nullptr ? ones : ones | sampled_bits[row * words + word];
  }
  // Adds those bits of a word that the row sees. At most one thread may write a word.
  MASKERADE_KERNEL void add_word(const MaskRow& at, std::int64_t word, std::uint64_t added) const {
    const std::uint64_t visible = added & visible_word(at.query, word);
    if (visible != 0) bits[at.row * words + word] |= visible;
  }
  // The random numbers of a row's head, for one purpose of the masker.
  MASKERADE_KERNEL RandomWords random(const maskerade_cuda_call& call,
                                      const MaskRow& at,
                                      std::uint32_t purpose) const {
    return RandomWords({call.seed, call.place, static_cast<std::uint32_t>(call.layer),
                        static_cast<std::uint32_t>(at.batch), static_cast<std::uint32_t>(at.head),
                        purpose});
  }
};

// q, k or v.
struct Tensor : maskerade_cuda_tensor {
  MASKERADE_KERNEL explicit Tensor(const maskerade_cuda_tensor& of) : maskerade_cuda_tensor(of) {}

  // Component d of a row, widened.
  MASKERADE_KERNEL float load(std::int64_t b,
                              std::int64_t head,
                              std::int64_t row,
                              std::int64_t d) const {
    const std::int64_t at = b * batch_stride + head * head_stride + row * row_stride + d;
    if (dtype == MASKERADE_FLOAT32) return static_cast<const float*>(data)[at];
    const std::uint16_t half = static_cast<const std::uint16_t*>(data)[at];
    return dtype == MASKERADE_FLOAT16 ? from_float16(half) : from_bfloat16(half);
  }

  MASKERADE_KERNEL static float from_bits(std::uint32_t bits) {
#if defined(__CUDA_ARCH__)
    return __uint_as_float(bits);
#else
    float value;
    memcpy(&value, &bits, sizeof(value));
    return value;
#endif
  }
  MASKERADE_KERNEL static float from_bfloat16(std::uint16_t half) {
    return from_bits(static_cast<std::uint32_t>(half) << 16);
  }
  // Exact: every float16 is a float32; a subnormal is a whole number of 2^-24.
  MASKERADE_KERNEL static float from_float16(std::uint16_t half) {
    const std::uint32_t sign = static_cast<std::uint32_t>(half & 0x8000U) << 16;
    const std::uint32_t exponent = (half >> 10) & 0x1FU;
    const std::uint32_t fraction = half & 0x3FFU;
    if (exponent == 0) {
      const float value = static_cast<float>(fraction) * 5.9604644775390625e-8F;
      return sign != 0 ? -value : value;
    }
    const std::uint32_t widened = exponent == 31 ? 255 : exponent + 112;
    return from_bits(sign | (widened << 23) | (fraction << 13));
  }
};

#if defined(__CUDACC__)
template <typename Body>
__global__ void for_each_kernel(std::int64_t count, const __grid_constant__ Body body) {
  const std::int64_t step = static_cast<std::int64_t>(gridDim.x) * blockDim.x;
  for (std::int64_t i = blockIdx.x * static_cast<std::int64_t>(blockDim.x) + threadIdx.x; i < count;
       i += step) {
    body(i);
  }
}
#endif

// Enqueues body(i) for i in [0, count), in any order. Throws when the launch is refused.
template <typename Body>
void for_each([[maybe_unused]] const maskerade_cuda_call& call,
              std::int64_t count,
              const Body& body) {
  if (count <= 0) return;
#if defined(__CUDACC__)
  constexpr std::int64_t kThreads = 256;
  const std::int64_t blocks = smaller<std::int64_t>((count + kThreads - 1) / kThreads, 1 << 20);
  for_each_kernel<<<static_cast<unsigned>(blocks), kThreads, 0,
                    static_cast<cudaStream_t>(call.stream)>>>(count, body);
  const cudaError_t code = cudaGetLastError();
  if (code != cudaSuccess) {
    throw std::runtime_error(std::string("a kernel was refused: ") + cudaGetErrorString(code));
  }
#else
  for (std::int64_t i = 0; i < count; ++i) body(i);
#endif
}

// Adds the keys bits(rows, row, word) to every word of every row, without those that the row does
// not see. One thread a word.
template <typename Bits>
struct AddWords {
  maskerade_cuda_rows of;
  Bits bits;

  MASKERADE_KERNEL void operator()(std::int64_t i) const {
    const Rows rows(of);
    const MaskRow at = rows.row_at(i / rows.words);
    const std::int64_t word = i % rows.words;
    if (word * 64 >= rows.visible_len(at.query)) return;
    rows.add_word(at, word, bits(rows, at, word));
  }
};
template <typename Bits>
void add_words(const maskerade_cuda_call& call, const Bits& bits) {
  for_each(call, Rows(call.rows).count() * call.rows.words, AddWords<Bits>{call.rows, bits});
}

// Device memory for `count` elements, not cleared, for the kernels that this call enqueues. Throws
// when there is none.
template <typename T>
T* allocate(const maskerade_cuda_call& call, std::int64_t count) {
  const auto bytes = static_cast<std::size_t>(larger<std::int64_t>(count, 1)) * sizeof(T);
  void* const memory = call.services->allocate(&call, bytes);
  if (memory == nullptr) throw std::runtime_error("a host service refused");
  return static_cast<T*>(memory);
}
// A copy in device memory of `count` elements of host memory, likewise.
template <typename T>
const T* upload(const maskerade_cuda_call& call, const T* values, std::size_t count) {
  void* const memory = call.services->upload(&call, values, count * sizeof(T));
  if (memory == nullptr && count > 0) throw std::runtime_error("a host service refused");
  return static_cast<const T*>(memory);
}

// budgets[row] = how many keys a row takes, as sdk::Budget::of() on the CPU.
struct ResolveBudgets {
  maskerade_cuda_rows of;
  maskerade_value tokens;
  bool is_total;
  std::int64_t* budgets;  // in: the active keys, where they count

  MASKERADE_KERNEL void operator()(std::int64_t row) const {
    const Rows rows(of);
    const std::int64_t visible = rows.visible_len(rows.row_at(row).query);
    const std::int64_t active = is_total ? budgets[row] : 0;
    budgets[row] = maskerade_tokens_of(&tokens, rows.key_len, visible) - active;
  }
};
inline const std::int64_t* resolve_budgets(const maskerade_cuda_call& call,
                                           const maskerade_value& tokens,
                                           bool is_total) {
  const std::int64_t rows = Rows(call.rows).count();
  auto* const budgets = allocate<std::int64_t>(call, rows);
  if (is_total) require_ok(call.services->count_active(&call, budgets));
  for_each(call, rows, ResolveBudgets{call.rows, tokens, is_total, budgets});
  return budgets;
}

// reaches_all[row] = whether a row's budget is enough for all of its visible inactive keys, as
// sdk::Budget::reaches_all() on the CPU.
struct FindReach {
  maskerade_cuda_rows of;
  maskerade_value tokens;
  bool is_total;
  const std::int64_t* active;  // the active keys of each row, where they do not count
  std::uint8_t* reaches_all;

  MASKERADE_KERNEL void operator()(std::int64_t row) const {
    const Rows rows(of);
    const std::int64_t visible = rows.visible_len(rows.row_at(row).query);
    const std::int64_t keys = maskerade_tokens_of(&tokens, rows.key_len, visible);
    reaches_all[row] = reaches_every_key(keys, is_total, is_total ? 0 : active[row], visible);
  }
};
inline const std::uint8_t* find_reach(const maskerade_cuda_call& call,
                                      const maskerade_value& tokens,
                                      bool is_total) {
  const std::int64_t rows = Rows(call.rows).count();
  std::int64_t* active = nullptr;
  if (!is_total) {
    active = allocate<std::int64_t>(call, rows);
    require_ok(call.services->count_active(&call, active));
  }
  auto* const reaches_all = allocate<std::uint8_t>(call, rows);
  for_each(call, rows, FindReach{call.rows, tokens, is_total, active, reaches_all});
  return reaches_all;
}

// Pools the scores of heads that decide together, in the order of the heads, and gives each of them
// what was pooled: scores [batch][heads][queries][stride], of which `length` count.
struct PoolScores {
  float* scores;
  std::int64_t together;
  std::int64_t queries;
  std::int64_t stride;
  std::int64_t length;
  bool sum;

  // i: (set of heads, query, candidate).
  MASKERADE_KERNEL void operator()(std::int64_t i) const {
    const std::int64_t set = i / length / queries;
    const std::int64_t at = (set * together * queries + i / length % queries) * stride + i % length;
    float pooled = scores[at];
    for (std::int64_t head = 1; head < together; ++head) {
      const float score = scores[at + head * queries * stride];
      pooled = sum ? pooled + score : larger(pooled, score);
    }
    for (std::int64_t head = 0; head < together; ++head) {
      scores[at + head * queries * stride] = pooled;
    }
  }
};
inline void pool_scores(const maskerade_cuda_call& call,
                        float* scores,
                        std::int64_t heads,  // of all batch entries
                        std::int64_t together,
                        std::int64_t queries,
                        std::int64_t stride,
                        std::int64_t length,
                        bool sum) {
  if (together == 1) return;
  for_each(call, heads / together * queries * length,
           PoolScores{scores, together, queries, stride, length, sum});
}

}  // namespace maskerade::sdk::device
