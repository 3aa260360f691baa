#include "experiments/stress/stress_totals.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace maskerade::stress {

StressTotals::StressTotals(Rows rows, const std::vector<std::string>& names) : kind_(rows) {
  for (const std::string& name : names) row(name);
}

StressTotals::Row& StressTotals::row(const std::string& name) {
  const auto found = std::find_if(rows_.begin(), rows_.end(),
                                  [&](const Row& present) { return present.name == name; });
  return found != rows_.end() ? *found : rows_.emplace_back(Row{.name = name});
}

std::vector<std::size_t> StressTotals::add(const CheckedCell& checked) {
  refusals_ += checked.refusals;
  if (!checked.cell) {
    Row& of_cell = row(checked.row);
    ++of_cell.not_drawn;
    of_cell.refusal = checked.refusal;
    return {};
  }
  ++cells_;
  std::vector<std::size_t> first;
  const CellOutcome& outcome = checked.outcome;
  for (const Invariant invariant : outcome.checked) {
    std::string name = kind_ == Rows::kSuites ? checked.row : checked.cell->subject().type->id();
    std::int64_t failures = 0;
    for (std::size_t i = 0; i < outcome.failures.size(); ++i) {
      const CellFailure& failure = outcome.failures[i];
      if (failure.invariant != invariant) continue;
      const std::string masker = failure.cell.subject().type->id();
      if (kind_ == Rows::kMaskers) name = masker;
      ++failures;
      if (failed_.insert({masker, invariant}).second) first.push_back(i);
    }
    failures_ += failures;
    ++checks_;
    Count& count = row(name).counts[static_cast<std::size_t>(invariant)];
    count.failures += failures;
    ++count.checks;
  }
  return first;
}

bool StressTotals::was_asked(Invariant invariant) const {
  return std::any_of(rows_.begin(), rows_.end(), [&](const Row& row) {
    return row.counts[static_cast<std::size_t>(invariant)].checks > 0;
  });
}

TextTable StressTotals::table() const {
  TextTable table;
  const std::string head = kind_ == Rows::kMaskers ? "masker" : "suite";
  table.columns.push_back({.name = head, .head = head, .is_left_aligned = true});
  for (const Invariant invariant : kAllInvariants) {
    if (!was_asked(invariant)) continue;
    table.columns.push_back(
        {.name = std::string(name_of(invariant)),
         .head = std::string(name_of(invariant)),
         .gap = 2,
         .legend = fmt::format("{}: {}", name_of(invariant), meaning_of(invariant))});
  }
  for (const Row& row : rows_) {
    TextRow cells{.cells = {{row.name}}};
    for (const Invariant invariant : kAllInvariants) {
      if (!was_asked(invariant)) continue;
      const Count& count = row.counts[static_cast<std::size_t>(invariant)];
      TextCell cell{.text = count.checks == 0 ? "-" : fmt::to_string(count.checks)};
      if (count.failures > 0) {
        cell = {fmt::format("{}/{} failed", count.failures, count.checks), Tone::kError};
      }
      cells.cells.push_back(std::move(cell));
    }
    table.rows.push_back(std::move(cells));
    if (row.not_drawn > 0) {
      table.notes.push_back(
          {fmt::format("{}: {} cell{} not drawn, the program refuses every draw: {}", row.name,
                       row.not_drawn, row.not_drawn == 1 ? " was" : "s were", row.refusal),
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
