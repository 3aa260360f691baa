#include "experiments/report/outcome.hpp"

#include <fmt/format.h>

#include <numeric>

#include "experiments/report/match_text.hpp"

namespace maskerade {

std::string_view name_of(CellOutcome outcome) noexcept {
  switch (outcome) {
    case CellOutcome::kOk:
      return "ok";
    case CellOutcome::kFailed:
      return "failed";
    case CellOutcome::kNotMatched:
      return "not matched";
    case CellOutcome::kUnreachable:
      return "unreachable";
    case CellOutcome::kUnavailable:
      return "unavailable";
  }
  return "";
}

CellOutcome outcome_of(const CellResult& result) {
  switch (result.status) {
    case CellStatus::kFailed:
      return CellOutcome::kFailed;
    case CellStatus::kUnavailable:
      return CellOutcome::kUnavailable;
    case CellStatus::kOk:
      break;
  }
  if (is_unreachable(result)) return CellOutcome::kUnreachable;
  return missed_match(result) ? CellOutcome::kNotMatched : CellOutcome::kOk;
}

bool is_noisy(const CellResult& result) {
  return result.status == CellStatus::kOk && result.timing() == TimingQuality::kNoisy;
}

std::string outcome_text(const CellResult& result) {
  const CellOutcome outcome = outcome_of(result);
  if (!is_noisy(result)) return std::string(name_of(outcome));
  return outcome == CellOutcome::kOk ? "noisy" : std::string(name_of(outcome)) + ", noisy";
}

void OutcomeCounts::add(const CellResult& result) {
  const auto outcome = static_cast<std::size_t>(outcome_of(result));
  ++cells_[outcome];
  if (is_noisy(result)) ++noisy_[outcome];
}

std::size_t OutcomeCounts::cells() const noexcept {
  return std::accumulate(cells_.begin(), cells_.end(), std::size_t{0});
}

std::size_t OutcomeCounts::of(CellOutcome outcome) const noexcept {
  return cells_[static_cast<std::size_t>(outcome)];
}

std::size_t OutcomeCounts::noisy() const noexcept {
  return std::accumulate(noisy_.begin(), noisy_.end(), std::size_t{0});
}

std::string OutcomeCounts::text(std::size_t not_run) const {
  const std::size_t all = cells() + not_run;
  std::string text = fmt::format("{} cell{}: ", all, all == 1 ? "" : "s");
  for (std::size_t i = 0; i < kCellOutcomes; ++i) {
    text += fmt::format("{} {}", cells_[i], name_of(static_cast<CellOutcome>(i)));
    if (noisy_[i] > 0) text += fmt::format(" ({} noisy)", noisy_[i]);
    text += ", ";
  }
  return text + fmt::format("{} not run", not_run);
}

}  // namespace maskerade
