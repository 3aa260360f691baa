#pragma once

#include <cstdint>

#include "attention/cpu/cpu_plan.hpp"
#include "attention/cpu/detail/softmax_kernel.hpp"
#include "framework/pipeline/attention_inputs.hpp"

namespace maskerade::detail {

// Whether attend_few_rows() serves a row block: it has at most kFewRows rows, and head_dim is
// large enough for the vectors of the instruction set in use (few_rows_width() > 0). Does not
// depend on the thread count.
bool few_rows_serve(const AttentionInputs& inputs, const RowBlock& rows);

// Attention of a row block's rows over key blocks [begin, end) of the plan, which reads k and v in
// place instead of packing them first. Requires few_rows_serve(). Sets the first head_dim columns
// of out[rows][out_stride] (out_stride in floats) to the sums of weighted values, which are not yet
// divided by the sums of weights; sets state.top and state.sum of the rows, -inf and 0 for a row
// without keys. When begin == end, out is left as it is. Overwrites state.scale.
void attend_few_rows(const AttentionInputs& inputs,
                     const CpuPlan& plan,
                     const RowBlock& rows,
                     std::int64_t begin,
                     std::int64_t end,
                     SoftmaxState& state,
                     float* out,
                     std::int64_t out_stride);

}  // namespace maskerade::detail
