#include "experiments/check/verdict.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "experiments/report/number_text.hpp"
#include "experiments/report/text_table.hpp"
#include "framework/base/text.hpp"

namespace maskerade::check {
namespace {

Tone tone_of(VerdictKind kind) {
  switch (kind) {
    case VerdictKind::kOk:
      return Tone::kPlain;
    case VerdictKind::kWarning:
      return Tone::kWarning;
    case VerdictKind::kFailed:
      return Tone::kError;
    case VerdictKind::kNotAsked:
      return Tone::kSecondary;
  }
  return Tone::kPlain;
}

}  // namespace

std::string_view name_of(VerdictKind kind) noexcept {
  switch (kind) {
    case VerdictKind::kOk:
      return "ok";
    case VerdictKind::kWarning:
      return "warning";
    case VerdictKind::kFailed:
      return "FAILED";
    case VerdictKind::kNotAsked:
      return "not asked";
  }
  return "";
}

std::size_t count_of(const std::vector<Verdict>& verdicts, VerdictKind kind) noexcept {
  return static_cast<std::size_t>(
      std::count_if(verdicts.begin(), verdicts.end(),
                    [kind](const Verdict& verdict) { return verdict.finding.kind == kind; }));
}

std::string to_text(const std::vector<Verdict>& verdicts, std::size_t width, bool has_colors) {
  constexpr std::size_t kIndent = 2;
  constexpr std::size_t kKindWidth = 10;
  std::size_t asked_width = 0;
  for (const Verdict& verdict : verdicts) {
    asked_width = std::max(asked_width, character_count(verdict.asked));
  }
  const std::size_t indent = kIndent + kKindWidth + asked_width + 2;
  std::string text;
  for (const Verdict& verdict : verdicts) {
    const std::string kind(name_of(verdict.finding.kind));
    text += std::string(kIndent, ' ') + toned(kind, tone_of(verdict.finding.kind), has_colors) +
            std::string(kKindWidth - kind.size(), ' ') + printable(verdict.asked) +
            std::string(asked_width - character_count(verdict.asked) + 2, ' ');
    const std::string rest = wrapped(fmt::format("{} · {}", verdict.finding.reason, verdict.rule),
                                     std::max<std::size_t>(width, indent + 40), indent);
    text += rest.substr(indent);
  }
  return text;
}

std::string totals_text(const std::vector<Verdict>& verdicts) {
  std::string text;
  for (const VerdictKind kind :
       {VerdictKind::kOk, VerdictKind::kWarning, VerdictKind::kFailed, VerdictKind::kNotAsked}) {
    text +=
        fmt::format("{}{} {}", text.empty() ? "" : ", ", count_of(verdicts, kind), name_of(kind));
  }
  return fmt::format("{} verdict{}: {}", verdicts.size(), verdicts.size() == 1 ? "" : "s", text);
}

}  // namespace maskerade::check
