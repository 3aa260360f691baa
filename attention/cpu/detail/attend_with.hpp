#pragma once

#include "attention/backend/attention_output.hpp"
#include "attention/cpu/cpu_plan.hpp"
#include "attention/cpu/detail/matrix_unit.hpp"
#include "framework/base/parallel.hpp"

namespace maskerade::detail {

// attend() with a matrix unit of the caller's choice, for tests: vectors multiply where the unit is
// kNone or does not serve the inputs (MatrixTiles::serve), even if the unit would be slower.
void attend_with(MatrixUnit unit,
                 const AttentionInputs& inputs,
                 const CpuPlan& plan,
                 const Threads& threads,
                 AttentionOutput& output);

}  // namespace maskerade::detail
