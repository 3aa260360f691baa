#pragma once

#include <cstdint>
#include <string>

#include "framework/tensor/dtype.hpp"

namespace maskerade::detail {

// The key blocks that one step of the online softmax takes at once, at most.
inline constexpr int kStepBlocks = 4;
// Elements from one row of scores to the next: a step's keys, and a cache line that keeps rows from
// falling on the same cache sets.
inline constexpr std::int64_t kScoreStride = kStepBlocks * 64 + 16;

// What the online softmax knows about up to 64 rows. Logits are in units of log 2.
struct SoftmaxState {
  float top[64];    // the highest logit so far; -inf: none
  double sum[64];   // of 2^(logit - top)
  float scale[64];  // 2^(top before the step - top), for what was summed before the step
};

// One step of the online softmax of rows first_row ... first_row + rows - 1 of the state: turns
// scores[rows][64 * blocks], in place, into the weights 2^(score - top), 0 where a column is
// inactive. Column j of block b is active in the step's row r when bit j of tails[b] and, if
// words[b] is not null, of words[b][r] is set. The weights' relative error is below 3e-7.
void softmax_step(float* scores,
                  int first_row,
                  int rows,
                  int blocks,
                  const std::uint64_t* const* words,
                  const std::uint64_t* tails,
                  SoftmaxState& state);

// Rows of values: row j is first + stride * (list ? list[j] : j), in elements.
struct ValueRows {
  const float* first = nullptr;
  std::int64_t stride = 0;
  const std::int32_t* list = nullptr;

  // Whether row `rows` of these is row 0 of `next`, and so on.
  bool precedes(const ValueRows& next, std::int64_t rows) const {
    if (stride != next.stride || (list == nullptr) != (next.list == nullptr)) return false;
    return list == nullptr ? first + rows * stride == next.first
                           : first == next.first && list + rows == next.list;
  }
};

// out[r][d] = out[r][d] * scale[r] + sum over j < count of weights[r][j] * values[j][d], for d <
// dim, a multiple of value_lanes().
void accumulate_values(const float* weights,
                       int rows,
                       int count,
                       const ValueRows& values,
                       std::int64_t dim,
                       const float* scale,
                       float* out);

// float32 lanes of a vector.
int value_lanes();

// Widens `count` elements to float32, exactly, and fills target[count ... padded) with 0.
void widen_padded(
    DType dtype, const void* source, std::int64_t count, std::int64_t padded, float* target);

// target = factor * source, widened to float32.
void widen_scaled(DType dtype, const void* source, std::int64_t count, float factor, float* target);

// target = factor * source, written around the caches; count is a multiple of value_lanes(), and
// target is aligned to as many floats.
void scale_past_caches(const float* source, std::int64_t count, float factor, float* target);

// Highway's name of the target in use.
std::string target_name();

}  // namespace maskerade::detail
