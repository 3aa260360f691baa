#pragma once

#include <cstdint>

#include "attention/cpu/cpu_plan.hpp"
#include "attention/cpu/detail/softmax_kernel.hpp"
#include "framework/pipeline/attention_inputs.hpp"

namespace maskerade::detail {

// Whether attend_few_rows serves a row block: few rows, components that fill a vector. It depends
// on the instruction set, not on the thread count.
bool few_rows_serve(const AttentionInputs& inputs, const RowBlock& rows);

// The online softmax of a row block's rows over key blocks [begin, end) of the plan, keys and
// values read where they lie. out: [rows][out_stride], its first head_dim columns are set to the
// sums of weighted values; state to the highest logits and the sums of weights.
void attend_few_rows(const AttentionInputs& inputs,
                     const CpuPlan& plan,
                     const RowBlock& rows,
                     std::int64_t begin,
                     std::int64_t end,
                     SoftmaxState& state,
                     float* out,
                     std::int64_t out_stride);

}  // namespace maskerade::detail
