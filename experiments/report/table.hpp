#pragma once

#include <cstddef>
#include <span>
#include <string>

#include "experiments/results/cell_result.hpp"

namespace maskerade {

// The longest line of a table, in characters. Only a single word that is longer exceeds it.
inline constexpr std::size_t kTableWidth = 136;

// The results of one workload under one check as a table, in their order: a heading on the
// workload, a header with units, then one row each. Successful results that differ only in
// mask_seed share a row with their means, and one with their standard deviations under it; their
// oracle error is the worst. Under a row stand its remarks, such as why it failed. Ends with a line
// break; "" for no results.
std::string format_block(std::span<const CellResult> results);

// What the columns of the table mean, one or two a line.
std::string format_legend();

// How many cells ended how.
struct StatusCounts {
  std::size_t ok = 0;
  std::size_t failed = 0;
  std::size_t unavailable = 0;

  void add(CellStatus status);
};

// "6 ok, 1 failed, 0 unavailable"
std::string format_counts(const StatusCounts& counts);

}  // namespace maskerade
