// What the tests of the CPU kernels attend by: a kernel chosen by name, on vectors or a matrix
// unit.
#pragma once

#include <optional>

#include "attention/cpu/attend.hpp"
#include "attention/cpu/detail/attend_with.hpp"
#include "experiments/rules/kernel_rules.hpp"

namespace maskerade {

inline constexpr Walk kKernels[] = {Walk::kDense, Walk::kTiles, Walk::kRows};

// The output of the kernel. unit: the matrix unit to use, or none of them; if it is not given, the
// one of the instruction set in use. It is used wherever it can be, whether it pays or not.
inline AttentionOutput attend_by(Walk kernel,
                                 const AttentionInputs& inputs,
                                 const Mask& mask,
                                 int threads,
                                 std::optional<detail::MatrixUnit> unit = std::nullopt) {
  AttentionOutput output;
  const CpuPlan plan = make_cpu_plan(mask, inputs.shape, kernel, Threads(threads));
  const detail::MatrixUnit in_use = detail::matrix_unit_in_use();
  if (unit || in_use != detail::MatrixUnit::kNone) {
    detail::attend_with(unit.value_or(in_use), inputs, plan, Threads(threads), output);
  } else {
    attend(inputs, plan, Threads(threads), output);
  }
  return output;
}

}  // namespace maskerade
