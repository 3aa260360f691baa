#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cstdint>
#include <string>
#include <vector>

#include "attention/cpu/attend.hpp"
#include "attention/cpu/detail/matrix_unit.hpp"
#include "attention/cpu/detail/softmax_kernel.hpp"
#include "framework/base/error.hpp"
#include "hwy/targets.h"

namespace maskerade {

namespace {

// Name of the instruction set that adds Intel AMX's matrix unit to AVX-512.
constexpr const char* kAmxName = "AMX";

// Rationale: what Highway finds out takes microseconds on a virtual machine, and kernels ask.
bool has_amx() { return detail::amx_is_usable() && (hwy::SupportedTargets() & HWY_AVX3) != 0; }

// One bit for each of Highway's targets that the machine can run and the project is built for; the
// compiler's baseline is one of them. Lets go of the target that dispatch was bound to.
std::int64_t all_targets() {
  hwy::SetSupportedTargetsForTest(0);
  return (hwy::SupportedTargets() & HWY_TARGETS) | HWY_STATIC_TARGET;
}

// Calls visit(target) for each bit of targets, the best target first.
template <class Visit>
void for_each_target(std::int64_t targets, const Visit& visit) {
  for (; targets != 0; targets &= targets - 1) visit(targets & -targets);
}

}  // namespace

// Rationale: use_instruction_set("AVX3") leaves Highway one supported target, and then the matrix
// unit stays off; otherwise a comparison of instruction sets would measure AMX under the name AVX3.
detail::MatrixUnit detail::matrix_unit_in_use() {
  if (!has_amx()) return MatrixUnit::kNone;
  const bool is_one_target =
      std::has_single_bit(static_cast<std::uint64_t>(hwy::SupportedTargets()));
  return is_one_target ? MatrixUnit::kNone : MatrixUnit::kAmx;
}

std::string instruction_set() {
  return detail::matrix_unit_in_use() == detail::MatrixUnit::kAmx ? kAmxName
                                                                  : detail::target_name();
}

std::vector<std::string> instruction_sets() {
  const auto bound = static_cast<std::int64_t>(hwy::SupportedTargets());
  const std::int64_t targets = all_targets();
  std::vector<std::string> names;
  if (has_amx()) names.emplace_back(kAmxName);
  for_each_target(targets,
                  [&](std::int64_t target) { names.emplace_back(hwy::TargetName(target)); });
  hwy::SetSupportedTargetsForTest(bound);
  return names;
}

void use_instruction_set(const std::string& name) {
  const std::vector<std::string> names = instruction_sets();
  if (std::find(names.begin(), names.end(), name) == names.end()) {
    throw Error(fmt::format("this machine cannot run the instruction set \"{}\"; use one of {}",
                            name, fmt::join(names, ", ")));
  }
  const std::int64_t targets = all_targets();
  for_each_target(targets, [&](std::int64_t target) {
    if (hwy::TargetName(target) == name) hwy::SetSupportedTargetsForTest(target);
  });
}

}  // namespace maskerade
