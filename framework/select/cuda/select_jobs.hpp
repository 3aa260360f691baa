#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>

#include "framework/sdk/masker_abi.h"
#include "framework/sdk/philox.hpp"
#include "framework/tensor/cuda/host_device.hpp"
#include "framework/tensor/dtype.hpp"

// The host services for maskers (scores, top-k, draws) on the device. Each function enqueues a
// kernel in the stream and does not wait for it; it throws ShapeError when the job needs more
// blocks of threads than a launch can have, CudaError when the launch is refused. All pointers are
// to device memory of the caller, which must live until the kernel is done.
namespace maskerade::cuda {

// How many vectors a block of threads multiplies with the keys that it has loaded.
inline constexpr int kVectorsOfKeys = 8;
// Products of vectors, such as queries, with keys. Vectors belong to groups that read the same
// keys: group g has the vectors [g * group_vectors, (g + 1) * group_vectors). All strides are in
// elements.
struct ProductJob {
  const void* vectors = nullptr;      // vector v begins at element v * dim
  const void* keys = nullptr;         // key j of group g: g * key_group_stride + j * key_stride
  std::int64_t key_stride = 0;        // from one key to the next
  std::int64_t key_group_stride = 0;  // from one group's keys to the next group's
  std::int64_t group_vectors = 1;     // vectors of a group
  std::int64_t first = 0;             // the vectors [first, last) are multiplied
  std::int64_t last = 0;
  std::int64_t key_count = 0;  // keys of a group
  std::int64_t dim = 0;        // components of a vector and of a key
  // Only the products of vector v with keys [0, ends[v % end_count]) are needed; others may be left
  // out. Null: all are needed.
  const std::int32_t* ends = nullptr;
  std::int64_t end_count = 1;
  float* products = nullptr;  // result: of vector v and key j at (v - first) * product_stride + j
  std::int64_t product_stride = 0;
};
// Enqueues the job; vectors and keys are of `dtype`. Each product is a float32 sum in the order of
// the CPU's score_tile(): s = fma(vector[d], key[d], s), for d ascending from s = 0.
void multiply(const ProductJob& job, DType dtype, cudaStream_t stream);

// Rows from whose candidates some keys are selected, each by one block of threads: block i has row
// first + i. The candidates of a row are the keys of [begin_of(row), end_of(row)) whose bit is set
// in neither `excluded` nor `also_excluded`.
struct SelectJob {
  std::int64_t first = 0;                 // the first row
  std::int64_t count = 0;                 // how many rows
  const std::int64_t* begins = nullptr;   // [rows] first key; null: 0
  const std::int64_t* ends = nullptr;     // [rows] one past the last key; null: key_len
  const std::int32_t* visible = nullptr;  // one past the last visible key of row r is
  std::int64_t visible_count = 1;         // visible[r % visible_count]; null: key_len
  std::int64_t key_len = 0;
  const std::uint64_t* excluded = nullptr;       // [rows][words] a bit per key; null: none
  const std::uint64_t* also_excluded = nullptr;  // [rows][words] a bit per key; null: none
  std::int64_t words = 0;                        // of a row: ceil(key_len / 64)
  const std::int64_t* counts = nullptr;          // [count] how many keys to select in row first + i
  std::uint64_t* bits = nullptr;                 // [rows][words] the selected keys' bits are set

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

// Ranks candidates by their scores: the highest comes first, of equal ones that with the lowest
// key.
struct ScoreRanks {
  const float* scores = nullptr;  // [SelectJob::count][stride] a score per key
  std::int64_t stride = 0;

  // A larger number is a better rank. NaN counts as -infinity, -0 as 0.
  MASKERADE_HOST_DEVICE static std::uint32_t rank_of(float score) {
    union {
      float number;
      std::uint32_t bits;
    } value = {score == score ? score + 0.0F : -__builtin_huge_valf()};
    return (value.bits >> 31) != 0 ? ~value.bits : value.bits | 0x80000000U;
  }
  // The ranks of the keys of one row.
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
// Selects the job.counts[i] best candidates of each row, or all when there are fewer.
void add_top(const SelectJob& job, const ScoreRanks& ranks, cudaStream_t stream);

// Ranks candidates by their random numbers: the smallest comes first, of equal ones that with the
// lowest key.
struct DrawRanks {
  sdk::RandomKey key;  // batch and head are set to those of each row
  std::int64_t heads = 1;
  std::int64_t query_len = 1;
  const std::int64_t* positions = nullptr;  // [query_len]

  // The ranks of the keys of one row.
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
// A draw without replacement in each row. Keys that are drawn with probability 1 become bits of
// `rows`; others are appended to the row's list of sampled entries, by ascending key.
struct DrawJob {
  SelectJob select;
  DrawRanks ranks;
  maskerade_cuda_rows rows;
  const float* probabilities = nullptr;  // [rows] the inclusion probability of the row's drawn keys
};
// Draws select.counts[i] candidates of each row. Sets a fault in *rows.faults when a list has no
// room or a probability is not in (0, 1].
void add_draw(const DrawJob& job, cudaStream_t stream);

// Counts the candidates of each row.
struct CountJob {
  SelectJob select;
  bool is_complement = false;      // counts the keys of [begin_of, end_of) that are no candidates
  std::int64_t* counts = nullptr;  // [rows] result
};
void count_candidates(const CountJob& job, cudaStream_t stream);

}  // namespace maskerade::cuda
