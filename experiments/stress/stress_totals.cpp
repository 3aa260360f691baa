#include "experiments/stress/stress_totals.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace maskerade::stress {

StressTotals::StressTotals(const std::vector<std::shared_ptr<const MaskerType>>& maskers) {
  for (const auto& masker : maskers) rows_[masker->id()];
}

std::vector<std::size_t> StressTotals::add(const DrawnCell& drawn, const CellOutcome& outcome) {
  refusals_ += drawn.refusals;
  if (!drawn.cell) {
    Row& row = rows_[drawn.subject];
    ++row.not_drawn;
    row.refusal = drawn.refusal;
    return {};
  }
  ++cells_;
  std::vector<std::size_t> first;
  for (const Invariant invariant : outcome.checked) {
    std::string masker = drawn.cell->subject().type->id();
    for (std::size_t i = 0; i < outcome.failures.size(); ++i) {
      const CellFailure& failure = outcome.failures[i];
      if (failure.invariant != invariant) continue;
      masker = failure.cell.subject().type->id();
      ++failures_;
      if (++count(masker, invariant).failures == 1) first.push_back(i);
    }
    ++checks_;
    ++count(masker, invariant).checks;
  }
  return first;
}

TextTable StressTotals::table() const {
  TextTable table;
  table.columns.push_back({.name = "masker", .head = "masker", .is_left_aligned = true});
  for (const Invariant invariant : kAllInvariants) {
    table.columns.push_back(
        {.name = std::string(name_of(invariant)),
         .head = std::string(name_of(invariant)),
         .gap = 2,
         .legend = fmt::format("{}: {}", name_of(invariant), meaning_of(invariant))});
  }
  for (const auto& row : rows_) {
    TextRow cells{.cells = {{row.first}}};
    for (const Count& count : row.second.counts) {
      TextCell cell{.text = count.checks == 0 ? "-" : fmt::to_string(count.checks)};
      if (count.failures > 0) {
        cell = {fmt::format("{}/{} failed", count.failures, count.checks), Tone::kError};
      }
      cells.cells.push_back(std::move(cell));
    }
    table.rows.push_back(std::move(cells));
    if (row.second.not_drawn > 0) {
      table.notes.push_back(
          {fmt::format("{}: {} cell{} not drawn, the program refuses every draw: {}", row.first,
                       row.second.not_drawn, row.second.not_drawn == 1 ? " was" : "s were",
                       row.second.refusal),
           Tone::kWarning});
    }
  }
  return table;
}

std::string StressTotals::last_line(double seconds) const {
  return fmt::format("{} cell{}, {} checks, {} draws refused, {} failure{}, {:.1f} s", cells_,
                     cells_ == 1 ? "" : "s", checks_, refusals_, failures_,
                     failures_ == 1 ? "" : "s", seconds);
}

}  // namespace maskerade::stress
