#pragma once

#include <cstdint>
#include <span>

#include "framework/tensor/tensor.hpp"

namespace maskerade {

// For up to so many queries stream_scores() is faster than packing the keys for score_tile().
inline constexpr int kMostStreamedRows = 8;

// Sets scores[r][j] to the product of query r and key first_key + j of (b, kv_head), for r < rows
// and j < count. It reads each key once, where it lies, which suits few queries and many keys. 1 <=
// rows <= kMostStreamedRows; queries are float32; strides are in elements. The products are bit for
// bit those of score_tile(): float32, s = fma(q[d], k[d], s), for d ascending from s = 0. [any
// thread]
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
// Like the function above, but for key listed[j] in the place of first_key + j.
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
