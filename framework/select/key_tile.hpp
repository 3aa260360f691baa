#pragma once

#include <cstdint>
#include <span>

#include "framework/tensor/tensor.hpp"

namespace maskerade {

// Products of queries with packed tiles of keys. Both the maskers' scores and the attention kernels
// are made of these two functions.
//
// A packed tile is float32 [head_dim][64], 64-byte aligned: element [d][j] is component d of the
// tile's key j; columns past the last key are 0.
inline constexpr std::int64_t kPackedKeys = 64;

// Packs keys first_key ... first_key + count - 1 of (b, kv_head). 1 <= count <= 64. Widens exactly.
void pack_keys(const TensorView& keys,
               std::int64_t b,
               std::int64_t kv_head,
               std::int64_t first_key,
               int count,
               float* packed);
// Packs the listed keys, at most 64.
void pack_keys(const TensorView& keys,
               std::int64_t b,
               std::int64_t kv_head,
               std::span<const std::int32_t> listed,
               float* packed);
// Packs keys of head_dim elements that lie at `rows`, 1 to 64.
void pack_keys(DType dtype,
               std::span<const void* const> rows,
               std::int64_t head_dim,
               float* packed);

// scores[r][j] = sum over d of queries[r][d] * packed[d][j], for r < rows and all 64 columns, in
// float32 by s = fma(q[d], k[d], s), d ascending from s = 0: one order of summation on every
// instruction set, so that what is selected by these scores is the same everywhere. Strides in
// elements. scores need not be aligned.
void score_tile(const float* queries,
                std::int64_t query_stride,
                int rows,
                const float* packed,
                std::int64_t head_dim,
                float* scores,
                std::int64_t score_stride);

}  // namespace maskerade
