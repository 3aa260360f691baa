#pragma once

#include <string>
#include <vector>

#include "attention/backend/attention_output.hpp"
#include "attention/cpu/cpu_plan.hpp"
#include "framework/base/parallel.hpp"

namespace maskerade {

// Attends to a plan's keys on the CPU, by blocked online softmax in float32 arithmetic. Resizes the
// output; rows without active keys get out = 0 and lse = -inf. The result is the same for any
// number of threads. Throws ShapeError when the plan is of another shape than the inputs.
void attend(const AttentionInputs& inputs,
            const CpuPlan& plan,
            const Threads& threads,
            AttentionOutput& output);

// The instruction set that the kernels run with on this machine: "AVX2", "AVX3", ...; "AMX": AVX3
// and matrix tiles.
std::string instruction_set();

// The instruction sets that this machine has and the project is built for, the best one first. The
// last one is the compiler's baseline: "SCALAR" or "SSE2", as the installed Highway has it. Call it
// before threads run.
std::vector<std::string> instruction_sets();

// Binds everything that Highway dispatches, scoring and selection too, to one of
// instruction_sets(), for this process; call it before threads run. Throws Error for any other
// name; its message lists them.
void use_instruction_set(const std::string& name);

}  // namespace maskerade
