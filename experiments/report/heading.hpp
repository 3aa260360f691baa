#pragma once

#include <span>
#include <string>
#include <vector>

#include "experiments/results/cell_result.hpp"

namespace maskerade {

// What the results of one workload under one check have in common, as texts without line breaks:
// the workload; how it ran and was compared with the oracle; for a decode trace, what its total is
// the sum of. Requires at least one result.
std::vector<std::string> heading_of(std::span<const CellResult> results);

}  // namespace maskerade
