#pragma once

#include <cstdint>

#include "hwy/targets.h"

namespace maskerade {

// Calls body(name) once for each instruction set that the project is built for and this machine
// has. During the call every function that chooses by instruction set uses that one.
template <typename Body>
void for_each_target(Body&& body) {
  for (const std::int64_t target : {HWY_AVX3, HWY_AVX2, HWY_SCALAR}) {
    if ((hwy::SupportedTargets() & target) == 0 && target != HWY_SCALAR) continue;
    hwy::SetSupportedTargetsForTest(target);
    body(hwy::TargetName(target));
    hwy::SetSupportedTargetsForTest(0);
  }
}

}  // namespace maskerade
