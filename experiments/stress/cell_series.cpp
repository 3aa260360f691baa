#include "experiments/stress/cell_series.hpp"

#include <cstddef>
#include <utility>

#include "experiments/rules/masker_rules.hpp"

namespace maskerade::stress {

CellSeries random_series(const CellPopulation& population) {
  std::vector<std::string> names;
  for (const StressMasker& masker : population.maskers) names.push_back(masker.type->id());
  return {.check =
              [population](std::int64_t number, CellChecker& checker) {
                return draw_and_check(population, number, checker);
              },
          .totals{StressTotals::Rows::kMaskers, names}};
}

std::vector<StressCell> published_cells(const StressMasker& masker, std::uint64_t seed) {
  const std::size_t budget = rules::budget_parameter(*masker.type).value();
  const std::string name = masker.type->descriptor().parameters[budget].name;
  std::vector<StressCell> cells;
  for (const rules::PublishedCase& published : rules::published_cases()) {
    StressCell& cell = cells.emplace_back();
    cell.maskers = {{.type = masker.type,
                     .given = {{.name = name, .values = {published.budget_text()}}},
                     .reference = masker.reference}};
    cell.problem = {.shape = published.shape, .causal = published.is_causal, .seed = seed};
    cell.previous = published.previous;
    cell.mask_seed = seed;
    cell.threads = 2;
  }
  return cells;
}

CellSeries published_series(const std::vector<StressMasker>& maskers,
                            std::uint64_t seed,
                            const std::string& device) {
  const auto cases = rules::published_cases();
  std::vector<std::string> suites;
  for (const rules::PublishedCase& published : cases) {
    if (suites.empty() || suites.back() != published.suite) suites.emplace_back(published.suite);
  }
  std::vector<CheckedCell> unchecked;
  for (const std::string& suite : suites) {
    for (const StressMasker& masker : maskers) {
      const std::vector<StressCell> cells = published_cells(masker, seed);
      for (std::size_t i = 0; i < cases.size(); ++i) {
        if (cases[i].suite != suite) continue;
        CheckedCell& next = unchecked.emplace_back();
        next.number = static_cast<std::int64_t>(unchecked.size()) - 1;
        next.row = suite;
        next.cell = cells[i];
        next.cell->device = device;
      }
    }
  }
  const auto count = static_cast<std::int64_t>(unchecked.size());
  return {.check =
              [unchecked = std::move(unchecked)](std::int64_t number, CellChecker& checker) {
                CheckedCell checked = unchecked[static_cast<std::size_t>(number)];
                checked.outcome = checker.check(*checked.cell);
                checked.refusal = checked.outcome.refusal;
                if (!checked.refusal.empty()) {
                  checked.refusals = 1;
                  checked.cell.reset();
                }
                return checked;
              },
          .count = count,
          .totals{StressTotals::Rows::kSuites, suites}};
}

}  // namespace maskerade::stress
