#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "experiments/report/failures.hpp"
#include "experiments/report/kernel_comparison.hpp"
#include "experiments/report/outcome.hpp"
#include "experiments/report/text_table.hpp"
#include "experiments/results/cell_result.hpp"

namespace maskerade {

// What only the command that ran knows of the end of a run.
struct RunEnd {
  std::size_t not_run = 0;             // cells that were not reached
  std::optional<double> seconds = {};  // that the run took
  bool is_strict = false;              // noisy cells are errors
  std::string command = {};            // see Failures::text()
};

// What a terminal is shown of results, block by block as they come, and what follows them: `run`
// and `results` print the same of the same cells. Keeps no results.
class RunReport {
 public:
  explicit RunReport(const TerminalStyle& style) : style_(style) {}

  // Takes the results of one workload under one check into what end() says.
  void add(std::span<const CellResult> results);
  // The table, and an empty line after it. Its legend stands at the end.
  std::string show(const TextTable& table);
  // add(), and the table_of() the results as show() gives it; "" for none.
  std::string block(std::span<const CellResult> results);

  const OutcomeCounts& counts() const noexcept { return counts_; }
  // How `auto` compares with the kernels named beside it, and the legend of the tables that were
  // shown: columns and words that are there, and no others.
  std::string legend() const;
  // How many cells ended how: "184 cells: 170 ok (12 noisy), 3 failed, ... in 341.2 s"; then the
  // failures by cause.
  std::string end(const RunEnd& end) const;

 private:
  TerminalStyle style_;
  OutcomeCounts counts_;
  Failures failures_;
  KernelComparison comparison_;
  std::vector<std::string> legend_;
};

}  // namespace maskerade
