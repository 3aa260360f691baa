#pragma once

#include <cstdint>

#include "hwy/targets.h"

namespace maskerade {

// Calls body(name) once per instruction set that this machine can run and the project is built for,
// with dispatch bound to it. The compiler's baseline is always one of them, under the name that the
// installed Highway gives it.
template <typename Body>
void for_each_target(Body&& body) {
  hwy::SetSupportedTargetsForTest(0);
  const std::int64_t targets = (hwy::SupportedTargets() & HWY_TARGETS) | HWY_STATIC_TARGET;
  for (std::int64_t left = targets; left != 0; left &= left - 1) {
    const std::int64_t target = left & -left;
    hwy::SetSupportedTargetsForTest(target);
    body(hwy::TargetName(target));
    hwy::SetSupportedTargetsForTest(0);
  }
}

}  // namespace maskerade
