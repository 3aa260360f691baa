#pragma once

#include <cstddef>
#include <cstdint>

#include "attention/cpu/cost_model.hpp"
#include "framework/tensor/dtype.hpp"

namespace maskerade::detail {

// Products of a few query rows with keys and values in host memory, each of which is read in place
// and once. Rationale: at decode, memory bandwidth is the limit, and packing costs more than the
// arithmetic.
//
// An ordered row is a float32 row whose components stand in the order in which these kernels widen
// stored ones, padded to few_rows_width() floats; order_components() and restore_components()
// convert. Sums over components and keys run in an order that depends on the instruction set, not
// on the thread count.

// Rows of a tensor, named by their indices: row j of these begins at first + stride_bytes *
// list[j]. A view: owns neither the tensor nor the list.
struct ListedBytes {
  const std::byte* first = nullptr;    // row 0 of the tensor
  std::int64_t stride_bytes = 0;       // from one row of the tensor to the next
  const std::int32_t* list = nullptr;  // [count] row indices
  std::int64_t count = 0;
};

// Floats of an ordered row for keys or values stored as dtype. 0 where the kernels below cannot be
// used: head_dim is smaller than the components that the instruction set in use widens at once (a
// vector of float32; two for bfloat16), or that is SCALAR.
std::int64_t few_rows_width(DType dtype, std::int64_t head_dim);

// Makes an ordered row, ordered[few_rows_width], of components[head_dim]: in the order of keys or
// values stored as dtype, with 0 in the padding.
void order_components(DType dtype, std::int64_t head_dim, const float* components, float* ordered);
// The inverse: components[head_dim] of an ordered row, ordered[few_rows_width].
void restore_components(DType dtype,
                        std::int64_t head_dim,
                        const float* ordered,
                        float* components);

// What score_few_rows() reads and writes. Arrays belong to the caller.
struct FewRowsScores {
  DType dtype;  // of the stored keys
  std::int64_t head_dim;
  int rows;                   // at most kFewRows
  const float* queries;       // [rows][few_rows_width] ordered
  ListedBytes keys;           // count is a multiple of 64
  ListedBytes next;           // what is read after the keys
  float* scores;              // [rows][score_stride]
  std::int64_t score_stride;  // at least keys.count
};
// scores[r][j] = q_r . k_j for r < rows and j < keys.count. Meanwhile prefetches the first rows of
// `next` into the second-level cache.
void score_few_rows(const FewRowsScores& product);

// What accumulate_few_rows() reads and writes. Arrays belong to the caller.
struct FewRowsSums {
  DType dtype;  // of the stored values
  std::int64_t head_dim;
  int rows;                    // at most kFewRows
  const float* weights;        // [rows][weight_stride]
  std::int64_t weight_stride;  // at least values.count
  ListedBytes values;          // count is a multiple of 64
  ListedBytes next;            // what is read after the values
  const float* scale;          // [rows]
  float* out;                  // [rows][few_rows_width] ordered
};
// out[r] = out[r] * scale[r] + the sum over j < values.count of weights[r][j] * v_j, for r < rows.
// Meanwhile prefetches the first rows of `next` into the second-level cache.
void accumulate_few_rows(const FewRowsSums& product);

}  // namespace maskerade::detail
