#include <fmt/format.h>

#include <bit>
#include <cstdint>
#include <string>

#include "attention/cpu/attend.hpp"
#include "attention/cpu/detail/matrix_unit.hpp"
#include "attention/cpu/detail/softmax_kernel.hpp"
#include "framework/base/error.hpp"
#include "hwy/targets.h"

namespace maskerade {

namespace {

// Name of the instruction set that adds Intel AMX's matrix unit to AVX-512.
constexpr const char* kAmxName = "AMX";

bool has_amx() { return (hwy::SupportedTargets() & HWY_AVX3) != 0 && detail::amx_is_usable(); }

}  // namespace

// Rationale: use_instruction_set("AVX3") leaves Highway one supported target, and then the matrix
// unit stays off; otherwise a comparison of instruction sets would measure AMX under the name AVX3.
detail::MatrixUnit detail::matrix_unit_in_use() {
  const bool is_one_target =
      std::has_single_bit(static_cast<std::uint64_t>(hwy::SupportedTargets()));
  return !is_one_target && has_amx() ? MatrixUnit::kAmx : MatrixUnit::kNone;
}

std::string instruction_set() {
  return detail::matrix_unit_in_use() == detail::MatrixUnit::kAmx ? kAmxName
                                                                  : detail::target_name();
}

void use_instruction_set(const std::string& name) {
  const auto before = static_cast<std::int64_t>(hwy::SupportedTargets());
  hwy::SetSupportedTargetsForTest(0);
  std::string there;
  if (has_amx()) {
    if (name == kAmxName) return;
    there = kAmxName;
  }
  for (const std::int64_t target : {HWY_AVX3, HWY_AVX2, HWY_SCALAR}) {
    if (target != HWY_SCALAR && (hwy::SupportedTargets() & target) == 0) continue;
    if (hwy::TargetName(target) == name) {
      hwy::SetSupportedTargetsForTest(target);
      return;
    }
    there += (there.empty() ? "" : ", ") + std::string(hwy::TargetName(target));
  }
  hwy::SetSupportedTargetsForTest(before);
  throw Error(fmt::format("this machine cannot run the instruction set \"{}\"; use one of {}", name,
                          there));
}

}  // namespace maskerade
