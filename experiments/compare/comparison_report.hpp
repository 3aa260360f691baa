#pragma once

#include <string>
#include <vector>

#include "experiments/compare/comparison.hpp"
#include "experiments/report/text_table.hpp"

namespace maskerade::compare {

// What a reader wants to see of a comparison.
struct ReportOptions {
  CompareOptions compared = {};
  bool shows_all = false;  // also cells that are SAME, where there are many
  // Runs may still be added: what UNCLEAR cells need is said so.
  std::string remedy = {};
};

// "topk budget=5%, prefill key_len=4096 (cuda, tiles, seed 3)": pipeline, workload, and what else
// is not the usual.
std::string name_of_cell(const CellResult& cell);

// A row a cell, what matters first: worse results, then SLOWER, FASTER, UNCLEAR and SAME, each by
// the size of the difference. More than kMostSame cells that are SAME are told in one line, unless
// all are asked for. Under a row why it is worse, and why it has no ratio. Notes: pipelines whose
// error changed, and what only one side has.
inline constexpr std::size_t kMostSame = 20;
TextTable table_of(const Comparison& comparison,
                   const std::vector<std::string>& notes,
                   const ReportOptions& options);

// "200 cells: 1 SLOWER, 0 FASTER, 190 SAME, 9 UNCLEAR; results: 1 worse, 0 better; 3 only in A".
std::string last_line(const Comparison& comparison);

// One line of JSON a cell: names, both times in milliseconds (by the ruler: over the dense
// reference's), ratio, interval, probability, verdict, reason and what changed.
std::vector<std::string> json_lines_of(const Comparison& comparison, const CompareOptions& options);

}  // namespace maskerade::compare
