#pragma once

#include <cstdint>
#include <string>

#include "framework/tensor/dtype.hpp"

namespace maskerade::detail {

// The most key blocks of one step of the online softmax.
inline constexpr int kStepBlocks = 4;
// Floats from one row of scores to the next: a step's keys, and a cache line more. Rationale:
// without it all rows would fall on the same cache sets.
inline constexpr std::int64_t kScoreStride = kStepBlocks * 64 + 16;

// The state of the online softmax of up to 64 rows. Logits are in units of log 2: l / ln 2.
struct SoftmaxState {
  float top[64];    // the highest logit so far; -inf before the first active key
  double sum[64];   // the sum of 2^(logit - top) so far
  float scale[64];  // of the last step: what earlier sums of weighted values must be multiplied by,
                    // 2^(top before the step - top)
};

// One step of the online softmax: some rows of a SoftmaxState over some key blocks. A view: the
// arrays belong to the caller.
struct SoftmaxStep {
  float* scores;   // [rows][kScoreStride], of which 64 * blocks columns are used
  float unit = 1;  // unit * score is the logit in units of log 2; positive
  int first_row;   // row 0 of the step is this row of the state
  int rows;
  int blocks;                         // at most kStepBlocks
  const std::uint64_t* const* words;  // [blocks][rows] bit j: column j is active; null: all are
  const std::uint64_t* tails;         // [blocks] the same for all rows; both bits must be set
};

// Turns step.scores, in place, into weights 2^(score - top), 0 where a column is inactive, and
// updates the state of the rows. Requires unit 1. The weights' relative error is below 3e-7.
void softmax_step(const SoftmaxStep& step, SoftmaxState& state);

// Float32 rows of values in memory, in order or named by a list: row j is first + stride *
// (list ? list[j] : j). A view.
struct ValueRows {
  const float* first = nullptr;
  std::int64_t stride = 0;  // floats from one row in memory to the next
  const std::int32_t* list = nullptr;

  // Whether `next` goes on where row `rows` of these would be, so that both can be read as one.
  bool precedes(const ValueRows& next, std::int64_t rows) const {
    if (stride != next.stride || (list == nullptr) != (next.list == nullptr)) return false;
    return list == nullptr ? first + rows * stride == next.first
                           : first == next.first && list + rows == next.list;
  }
};

// What accumulate_values() reads and writes. Arrays belong to the caller.
struct ValueSums {
  const float* weights;  // [rows][kScoreStride]
  int rows;
  int count;           // values, at most kStepBlocks * 64
  ValueRows values;    // [count][dim]
  std::int64_t dim;    // a multiple of value_lanes()
  const float* scale;  // [rows]
  float* out;          // [rows][dim]
};
// out[r][d] = out[r][d] * scale[r] + the sum over j < count of weights[r][j] * values[j][d].
void accumulate_values(const ValueSums& sums);

// Float32 lanes of a vector of the instruction set in use.
int value_lanes();

// Widens source[count], stored as dtype, exactly to float32 target[padded], 0 from `count` on.
void widen_padded(
    DType dtype, const void* source, std::int64_t count, std::int64_t padded, float* target);

// target[i] = factor * source[i] for i < count; source is stored as dtype and widened to float32.
void widen_scaled(DType dtype, const void* source, std::int64_t count, float factor, float* target);

// The same for float32 by streaming stores, which do not bring the target into the caches. count is
// a multiple of value_lanes(), and target is aligned to as many floats. The stores are ordered with
// later ones only by hwy::FlushStream().
void scale_past_caches(const float* source, std::int64_t count, float factor, float* target);

// Highway's name of the instruction set in use: "AVX3", "AVX2", ...
std::string target_name();

}  // namespace maskerade::detail
