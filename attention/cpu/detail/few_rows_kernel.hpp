#pragma once

#include <cstddef>
#include <cstdint>

#include "framework/tensor/dtype.hpp"

namespace maskerade::detail {

// Products of a few query rows with keys and values that are read where they lie, once each: at
// decode memory is the limit, and packing costs more than the arithmetic.
//
// The kernels hold a row's components in an order of their own, padded to few_rows_width floats;
// order_components and restore_components convert. Sums over components and keys run in an order
// that depends on the instruction set, not on the thread count.

// Rows up to which reading in place is faster than packing.
inline constexpr std::int64_t kFewRows = 16;

// Rows of a tensor: row j begins at first + stride_bytes * list[j].
struct ListedBytes {
  const std::byte* first = nullptr;
  std::int64_t stride_bytes = 0;
  const std::int32_t* list = nullptr;
  std::int64_t count = 0;
};

// Floats of an ordered row of head_dim components; 0: the instruction set or head_dim is too narrow
// for these kernels.
std::int64_t few_rows_width(DType dtype, std::int64_t head_dim);

// Puts head_dim components in the order of keys or values stored as dtype, 0 in the padding.
void order_components(DType dtype,
                      std::int64_t head_dim,
                      const float* components,
                      float* ordered);  // [few_rows_width]
void restore_components(DType dtype,
                        std::int64_t head_dim,
                        const float* ordered,
                        float* components);

// scores[r * score_stride + j] = q_r . k_j for r < rows <= kFewRows and j < keys.count, a multiple
// of 64. queries: [rows][few_rows_width], ordered. Meanwhile fetches the first of `next`, which are
// read next, into the cache.
void score_few_rows(DType dtype,
                    std::int64_t head_dim,
                    const float* queries,
                    int rows,
                    const ListedBytes& keys,
                    const ListedBytes& next,
                    float* scores,
                    std::int64_t score_stride);

// out[r] = out[r] * scale[r] + sum over j < values.count of weights[r * weight_stride + j] * v_j;
// values.count is a multiple of 64. out: [rows][few_rows_width], ordered. Fetches of `next`
// likewise.
void accumulate_few_rows(DType dtype,
                         std::int64_t head_dim,
                         const float* weights,
                         std::int64_t weight_stride,
                         int rows,
                         const ListedBytes& values,
                         const ListedBytes& next,
                         const float* scale,
                         float* out);

}  // namespace maskerade::detail
