#pragma once

#include <array>
#include <cstdint>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "experiments/report/text_table.hpp"
#include "experiments/stress/check_cell.hpp"
#include "experiments/stress/draw_cell.hpp"

namespace maskerade::stress {

// What the cells of a stress test add up to, by row and invariant.
class StressTotals {
 public:
  // What a row of the table is about. A failure counts for the last masker of its own cell where
  // rows are maskers, else for the row of the cell.
  enum class Rows { kMaskers, kSuites };
  // Every one of these names gets a row, in the order of the names where rows are maskers.
  StressTotals(Rows rows, const std::vector<std::string>& names);

  // Returns the failures of the cell that are the first of their masker and invariant, as indexes.
  std::vector<std::size_t> add(const CheckedCell& checked);

  std::int64_t cells() const noexcept { return cells_; }
  std::int64_t checks() const noexcept { return checks_; }
  std::int64_t refusals() const noexcept { return refusals_; }
  std::int64_t failures() const noexcept { return failures_; }

  // A column an invariant: "12", or "3/12 failed"; invariants that nobody was asked for have none.
  // A note for each masker of which cells could not be drawn, with the reason.
  TextTable table() const;
  // "1000 cells, 8123 checks, 213 draws refused, 0 failures, 61.3 s"
  std::string last_line(double seconds) const;

 private:
  struct Count {
    std::int64_t checks = 0;
    std::int64_t failures = 0;
  };
  struct Row {
    std::string name;
    std::array<Count, kAllInvariants.size()> counts = {};
    std::string refusal = {};    // of its cells, the last one
    std::int64_t not_drawn = 0;  // cells
  };
  Row& row(const std::string& name);
  bool was_asked(Invariant invariant) const;

  Rows kind_;
  std::vector<Row> rows_;
  std::set<std::pair<std::string, Invariant>> failed_;  // masker and invariant
  std::int64_t cells_ = 0;
  std::int64_t checks_ = 0;
  std::int64_t refusals_ = 0;
  std::int64_t failures_ = 0;
};

}  // namespace maskerade::stress
