// The cells of one stress test: random ones, or those of published suites.
#pragma once

#include <cstdint>
#include <functional>
#include <limits>
#include <string>
#include <vector>

#include "experiments/stress/draw_cell.hpp"
#include "experiments/stress/stress_totals.hpp"

namespace maskerade::stress {

struct CellSeries {
  // Makes and checks the cell of a number. [any thread]
  std::function<CheckedCell(std::int64_t number, CellChecker& checker)> check;
  std::int64_t count = std::numeric_limits<std::int64_t>::max();  // cells that there are
  StressTotals totals;                                            // with their rows
};

// Those of draw_and_check(); a row a masker.
CellSeries random_series(const CellPopulation& population);

// The cells of the eight published suites with one masker, which has a budget_parameter(): a cell a
// case, in the order of rules::published_cases(), on normal data.
std::vector<StressCell> published_cells(const StressMasker& masker, std::uint64_t seed);

// Those cells of every masker on a device, suite by suite, within a suite masker by masker; a row a
// suite.
CellSeries published_series(const std::vector<StressMasker>& maskers,
                            std::uint64_t seed,
                            const std::string& device);

}  // namespace maskerade::stress
