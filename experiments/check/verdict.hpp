// What a check of a masker's library says.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace maskerade::check {

enum class VerdictKind {
  kOk,
  kWarning,   // works, and is not as it should be
  kFailed,    // breaks a rule of the SDK
  kNotAsked,  // cannot be asked of this library, or not here
};
std::string_view name_of(VerdictKind kind) noexcept;  // "ok", "warning", "FAILED", "not asked"

// What was found of one question.
struct Finding {
  // Rationale: of an aggregate in an aggregate GCC 12 warns falsely.
  Finding() = default;
  Finding(VerdictKind found, std::string why) : kind(found), reason(std::move(why)) {}

  VerdictKind kind = VerdictKind::kOk;
  std::string reason;  // with the numbers
};

struct Verdict {
  std::string asked;  // in a few words: "threads and chunks"
  Finding finding = {};
  std::string rule = {};  // that the SDK has for it: "masker_abi.h: select: ..."
};

std::size_t count_of(const std::vector<Verdict>& verdicts, VerdictKind kind) noexcept;

// A line a verdict, longer ones broken at `width` characters: the kind, what was asked, the reason,
// the rule; in colours where there are.
std::string to_text(const std::vector<Verdict>& verdicts, std::size_t width, bool has_colors);

// "21 verdicts: 18 ok, 1 warning, 0 FAILED, 2 not asked"
std::string totals_text(const std::vector<Verdict>& verdicts);

}  // namespace maskerade::check
