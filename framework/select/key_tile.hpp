#pragma once

#include <cstdint>
#include <span>

#include "framework/tensor/tensor.hpp"

namespace maskerade {

// Products of queries with packed tiles of keys, which the maskers' scores and the attention
// kernels share. A packed tile holds up to 64 keys as float32 [head_dim][64], 64-byte aligned, in
// host memory of the caller: element [d][j] is component d of the tile's key j, 0 where there is no
// key.
inline constexpr std::int64_t kPackedKeys = 64;

// Packs the keys [first_key, first_key + count) of (b, kv_head) into `packed`, widened to float32
// without rounding. 1 <= count <= 64.
void pack_keys(const TensorView& keys,
               std::int64_t b,
               std::int64_t kv_head,
               std::int64_t first_key,
               int count,
               float* packed);
// Packs the listed keys of (b, kv_head), 1 to 64.
void pack_keys(const TensorView& keys,
               std::int64_t b,
               std::int64_t kv_head,
               std::span<const std::int32_t> listed,
               float* packed);
// Packs the keys that lie at `rows`, 1 to 64, each of head_dim elements of `dtype`.
void pack_keys(DType dtype,
               std::span<const void* const> rows,
               std::int64_t head_dim,
               float* packed);

// Sets scores[r][j] to the sum over d of queries[r][d] * packed[d][j], for r < rows and all 64
// columns j. It is computed in float32 by s = fma(q[d], k[d], s), for d ascending from s = 0: in
// one order on every instruction set, so that the keys that are selected by these scores are the
// same everywhere. Strides are in elements.
void score_tile(const float* queries,
                std::int64_t query_stride,
                int rows,
                const float* packed,
                std::int64_t head_dim,
                float* scores,
                std::int64_t score_stride);

}  // namespace maskerade
