#include <fmt/format.h>

#include <cstdint>
#include <string>

#include "attention/cpu/attend.hpp"
#include "attention/cpu/detail/softmax_kernel.hpp"
#include "framework/base/error.hpp"
#include "hwy/targets.h"

namespace maskerade {

std::string instruction_set() { return detail::target_name(); }

void use_instruction_set(const std::string& name) {
  std::string there;
  for (const std::int64_t target : {HWY_AVX3, HWY_AVX2, HWY_SCALAR}) {
    if (target != HWY_SCALAR && (hwy::SupportedTargets() & target) == 0) continue;
    if (hwy::TargetName(target) == name) {
      hwy::SetSupportedTargetsForTest(target);
      return;
    }
    there += (there.empty() ? "" : ", ") + std::string(hwy::TargetName(target));
  }
  throw Error(fmt::format("this machine cannot run the instruction set \"{}\"; use one of {}", name,
                          there));
}

}  // namespace maskerade
