#pragma once

#include "attention/backend/attention_output.hpp"
#include "attention/cpu/cpu_plan.hpp"
#include "attention/cpu/detail/matrix_unit.hpp"
#include "framework/base/parallel.hpp"

namespace maskerade::detail {

// attend() with this matrix unit, wherever it serves the inputs.
void attend_with(MatrixUnit unit,
                 const AttentionInputs& inputs,
                 const CpuPlan& plan,
                 const Threads& threads,
                 AttentionOutput& output);

}  // namespace maskerade::detail
