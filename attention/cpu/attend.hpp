#pragma once

#include <string>

#include "attention/attention_output.hpp"
#include "attention/plan.hpp"
#include "framework/base/parallel.hpp"

namespace maskerade {

// Softmax attention over the plan's keys on the CPU: blocked online softmax, float32 arithmetic.
// output is resized; rows without active keys get out = 0, lse = -inf. The result depends on inputs
// and plan alone, not on the thread count. Throws ShapeError when the plan is of another shape.
void attend(const AttentionInputs& inputs,
            const Plan& plan,
            const Threads& threads,
            AttentionOutput& output);

// The instruction set that the kernels run with on this machine: "AVX2", "AVX3", ...
std::string instruction_set();

}  // namespace maskerade
