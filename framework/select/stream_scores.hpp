#pragma once

#include <cstdint>
#include <span>

#include "framework/tensor/tensor.hpp"

namespace maskerade {

// The most queries whose keys are better read where they lie than packed for score_tile.
inline constexpr int kMostStreamedRows = 8;

// scores[r][j] = q.k of query r < rows and key first_key + j < first_key + count of (b, kv_head),
// reading each key once, without packing: for few queries and many keys. 1 <= rows <= 8; queries
// are float32. In float32 by s = fma(q[d], k[d], s), d ascending from s = 0, as score_tile does on
// every instruction set. Strides in elements. [any thread]
void stream_scores(const float* queries,
                   std::int64_t query_stride,
                   int rows,
                   const TensorView& keys,
                   std::int64_t b,
                   std::int64_t kv_head,
                   std::int64_t first_key,
                   std::int64_t count,
                   float* scores,
                   std::int64_t score_stride);
// The same for the listed keys.
void stream_scores(const float* queries,
                   std::int64_t query_stride,
                   int rows,
                   const TensorView& keys,
                   std::int64_t b,
                   std::int64_t kv_head,
                   std::span<const std::int32_t> listed,
                   float* scores,
                   std::int64_t score_stride);

}  // namespace maskerade
