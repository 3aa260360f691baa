#pragma once

#include <cstddef>
#include <span>
#include <string>

#include "experiments/results/cell_result.hpp"

namespace maskerade {

// The longest line of a table, in characters; only a word that is longer by itself exceeds it.
inline constexpr std::size_t kTableWidth = 136;

// The results of one workload under one check as a table, in their order: a heading on the
// workload, a header with units, one row each. Successful rows that differ only in mask_seed become
// one, their mean, with a row of their standard deviations under it; the oracle error is then the
// worst. A row that failed or is unavailable is followed by its reason. Ends with a line break; ""
// for no results.
std::string format_block(std::span<const CellResult> results);

// What the columns mean.
std::string format_legend();

// "6 ok, 1 failed, 0 unavailable in 12.3 s"
std::string format_counts(std::size_t ok,
                          std::size_t failed,
                          std::size_t unavailable,
                          double wall_ms);

}  // namespace maskerade
