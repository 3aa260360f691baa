#pragma once

#include <optional>

#include "experiments/stress/check_cell.hpp"

namespace maskerade::stress {

// Asks the invariants of cells, one cell after the other. [one thread]
class CellChecker {
 public:
  virtual ~CellChecker() = default;
  // As check_cell().
  virtual CellOutcome check(const StressCell& cell) = 0;
  // As check_invariant().
  virtual std::optional<rules::Violations> check(Invariant invariant, const StressCell& cell) = 0;
};

// In this process, which a masker may take down: nobody is asked for kSurvives.
class LocalChecker final : public CellChecker {
 public:
  CellOutcome check(const StressCell& cell) override { return check_cell(cell); }
  std::optional<rules::Violations> check(Invariant invariant, const StressCell& cell) override {
    return check_invariant(invariant, cell);
  }
};

// Tells, in this process, whether the program selects for a cell, and asks for no invariant.
class SelectingOnly final : public CellChecker {
 public:
  CellOutcome check(const StressCell& cell) override {
    return {.refusal = refusal_of(cell), .checked = {}, .failures = {}};
  }
  std::optional<rules::Violations> check(Invariant, const StressCell&) override {
    return std::nullopt;
  }
};

}  // namespace maskerade::stress
