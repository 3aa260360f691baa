#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "experiments/report/text_table.hpp"
#include "experiments/stress/check_cell.hpp"
#include "experiments/stress/draw_cell.hpp"

namespace maskerade::stress {

// What the cells of a stress test add up to, by masker and invariant.
class StressTotals {
 public:
  // Every one of these maskers gets a row.
  explicit StressTotals(const std::vector<std::shared_ptr<const MaskerType>>& maskers);

  // A cell that was drawn, and what was found; a cell that was not drawn has found nothing. A
  // failure counts for the last masker of its own cell. Returns the failures that are the first of
  // their masker and invariant, as indexes.
  std::vector<std::size_t> add(const DrawnCell& drawn, const CellOutcome& outcome);

  std::int64_t cells() const noexcept { return cells_; }
  std::int64_t checks() const noexcept { return checks_; }
  std::int64_t refusals() const noexcept { return refusals_; }
  std::int64_t failures() const noexcept { return failures_; }

  // A row a masker, a column an invariant: "12", or "3/12 failed". A note for each masker of which
  // no cell could be drawn, with the reason.
  TextTable table() const;
  // "1000 cells, 8123 checks, 213 draws refused, 0 failures, 61.3 s"
  std::string last_line(double seconds) const;

 private:
  struct Count {
    std::int64_t checks = 0;
    std::int64_t failures = 0;
  };
  struct Row {
    std::array<Count, kAllInvariants.size()> counts;
    std::string refusal;         // of its cells, the last one
    std::int64_t not_drawn = 0;  // cells
  };
  Count& count(const std::string& masker, Invariant invariant) {
    return rows_[masker].counts[static_cast<std::size_t>(invariant)];
  }

  std::map<std::string, Row> rows_;
  std::int64_t cells_ = 0;
  std::int64_t checks_ = 0;
  std::int64_t refusals_ = 0;
  std::int64_t failures_ = 0;
};

}  // namespace maskerade::stress
