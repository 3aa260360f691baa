#pragma once

#include <array>
#include <cstddef>
#include <string>
#include <string_view>

#include "experiments/results/cell_result.hpp"

namespace maskerade {

// How a cell ended, for a reader of tables. A missed target of a match is never kOk.
enum class CellOutcome { kOk, kFailed, kNotMatched, kUnreachable, kUnavailable };
inline constexpr std::size_t kCellOutcomes = 5;

// "ok", "failed", "not matched", "unreachable", "unavailable"
std::string_view name_of(CellOutcome outcome) noexcept;

CellOutcome outcome_of(const CellResult& result);
// Whether a cell that was measured is noisy, see CellResult::timing().
bool is_noisy(const CellResult& result);
// Both in a few words: "ok", "noisy", "not matched, noisy", "failed".
std::string outcome_text(const CellResult& result);

// How many cells ended how.
class OutcomeCounts {
 public:
  void add(const CellResult& result);

  std::size_t cells() const noexcept;
  std::size_t of(CellOutcome outcome) const noexcept;
  // Of the cells that were measured and did not fail.
  std::size_t noisy() const noexcept;

  // "184 cells: 170 ok (12 noisy), 3 failed, 6 not matched (1 noisy), 2 unreachable, 3 unavailable,
  // 0 not run". not_run: cells that this adds to those that were counted.
  std::string text(std::size_t not_run) const;

 private:
  std::array<std::size_t, kCellOutcomes> cells_{};
  std::array<std::size_t, kCellOutcomes> noisy_{};
};

}  // namespace maskerade
