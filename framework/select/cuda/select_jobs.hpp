#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>

#include "framework/sdk/masker_abi.h"
#include "framework/sdk/philox.hpp"
#include "framework/tensor/cuda/host_device.hpp"
#include "framework/tensor/dtype.hpp"

// The host's selection on the device: what select.cu launches, and on what. All pointers are of
// device memory. Each function enqueues and throws CudaError when a launch is refused.
namespace maskerade::cuda {

// Products of vectors with keys, in float32: s = fma(vector[d], key[d], s) from s = 0, d ascending.
// Vectors of a group read the same keys; group g has vectors [g * group_vectors, ...).
inline constexpr int kVectorsOfKeys = 8;  // that read the keys together
struct ProductJob {
  const void* vectors = nullptr;  // vector v begins at v * dim
  const void* keys = nullptr;   // key j of group g begins at g * key_group_stride + j * key_stride
  std::int64_t key_stride = 0;  // elements
  std::int64_t key_group_stride = 0;
  std::int64_t group_vectors = 1;
  std::int64_t first = 0;  // vectors [first, last)
  std::int64_t last = 0;
  std::int64_t key_count = 0;
  std::int64_t dim = 0;
  // Vector v needs keys [0, ends[v % end_count]) alone; null: all.
  const std::int32_t* ends = nullptr;
  std::int64_t end_count = 1;
  float* products = nullptr;  // of vector v and key j at (v - first) * product_stride + j
  std::int64_t product_stride = 0;
};
// Both vectors and keys are of `dtype`.
void multiply(const ProductJob& job, DType dtype, cudaStream_t stream);

// Lists of candidates, a block of threads each: row `first + i` for list i.
struct SelectJob {
  std::int64_t first = 0;
  std::int64_t count = 0;
  // Candidates of a row: [begins[row], min(ends[row], lengths...)) whose bit is in neither of the
  // two arrays of bits.
  const std::int64_t* begins = nullptr;   // null: 0
  const std::int64_t* ends = nullptr;     // null: no bound
  const std::int32_t* visible = nullptr;  // [row % visible_count]; null: no bound
  std::int64_t visible_count = 1;
  std::int64_t key_len = 0;
  const std::uint64_t* excluded = nullptr;       // [row][words]; null: none
  const std::uint64_t* also_excluded = nullptr;  // likewise
  std::int64_t words = 0;
  const std::int64_t* counts = nullptr;  // [i] how many to take of list i
  std::uint64_t* bits = nullptr;         // [row][words] gets the taken, united with what it has

  MASKERADE_HOST_DEVICE std::int64_t begin_of(std::int64_t row) const {
    return begins == nullptr ? 0 : larger<std::int64_t>(begins[row], 0);
  }
  MASKERADE_HOST_DEVICE std::int64_t end_of(std::int64_t row) const {
    std::int64_t end = key_len;
    if (ends != nullptr) end = smaller(end, ends[row]);
    if (visible != nullptr) end = smaller<std::int64_t>(end, visible[row % visible_count]);
    return larger<std::int64_t>(end, 0);
  }
};

// Ranks candidates by float32 scores: the highest, then the lowest index.
struct ScoreRanks {
  const float* scores = nullptr;  // [i][stride]
  std::int64_t stride = 0;

  // A larger number is a better rank. NaN as -infinity, -0 as 0.
  MASKERADE_HOST_DEVICE static std::uint32_t rank_of(float score) {
    union {
      float number;
      std::uint32_t bits;
    } value = {score == score ? score + 0.0F : -__builtin_huge_valf()};
    return (value.bits >> 31) != 0 ? ~value.bits : value.bits | 0x80000000U;
  }
  struct OfRow {
    const float* scores;
    MASKERADE_HOST_DEVICE std::uint32_t operator()(std::int64_t key) const {
      return rank_of(scores[key]);
    }
  };
  MASKERADE_HOST_DEVICE OfRow of_row(std::int64_t i, std::int64_t) const {
    return {scores + i * stride};
  }
};
void add_top(const SelectJob& job, const ScoreRanks& ranks, cudaStream_t stream);

// Ranks them by random numbers: the smallest, then the lowest key.
struct DrawRanks {
  sdk::RandomKey key;  // its batch and head are those of the row
  std::int64_t heads = 1;
  std::int64_t query_len = 1;
  const std::int64_t* positions = nullptr;  // [query_len]

  struct OfRow {
    sdk::RandomWords random;
    std::uint64_t position;
    MASKERADE_HOST_DEVICE std::uint32_t operator()(std::int64_t key) const {
      return ~random.bits(position, static_cast<std::uint32_t>(key));
    }
  };
  MASKERADE_HOST_DEVICE OfRow of_row(std::int64_t, std::int64_t row) const {
    sdk::RandomKey of_head = key;
    of_head.batch = static_cast<std::uint32_t>(row / query_len / heads);
    of_head.head = static_cast<std::uint32_t>(row / query_len % heads);
    return {sdk::RandomWords(of_head), static_cast<std::uint64_t>(positions[row % query_len])};
  }
};
// What is drawn with a probability below 1 goes to the rows' lists, in the order of keys.
struct DrawJob {
  SelectJob select;
  DrawRanks ranks;
  maskerade_cuda_rows rows;
  const float* probabilities = nullptr;  // [row]
};
void add_draw(const DrawJob& job, cudaStream_t stream);

// counts[row] = candidates of a row, or how many of its keys are not.
struct CountJob {
  SelectJob select;
  bool is_complement = false;
  std::int64_t* counts = nullptr;
};
void count_candidates(const CountJob& job, cudaStream_t stream);

}  // namespace maskerade::cuda
