#pragma once

#include <span>
#include <string>
#include <vector>

#include "experiments/report/text_table.hpp"
#include "experiments/results/cell_result.hpp"

namespace maskerade {

// Methods against density and error: of each experiment a table of its prefills and one of its
// decode steps and traces. A row is a pipeline on a device with a kernel, with the value that was
// swept or matched in its name; its numbers are means over the successful cells of all workloads,
// layers and seeds, each with its standard deviation beside it, and how many cells that are and how
// many ended otherwise. Rows come in the order of their first cells.
std::vector<TextTable> method_tables(std::span<const CellResult> results);

// One table of all results with the columns of those names, see cell_column(), whose errors it
// throws. has_all_digits: numbers read back as the same; else they have three digits.
TextTable column_table(std::span<const CellResult> results,
                       const std::vector<std::string>& names,
                       bool has_all_digits);

// Sorts results by a column, those of equal values in the order that they have: numbers by size,
// texts by their characters, what was not measured last. order: "COLUMN", "COLUMN:asc" or
// "COLUMN:desc". Throws ConfigError, which says what would be right.
void sort_by(const std::string& order, std::vector<CellResult>& results);

}  // namespace maskerade
