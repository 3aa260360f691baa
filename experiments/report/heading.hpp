#pragma once

#include <span>
#include <string>
#include <vector>

#include "experiments/results/cell_result.hpp"

namespace maskerade {

// What the results of one workload under one check, at least one, have in common, a text each,
// without line breaks: the workload; how it ran and was compared with the oracle; of a decode trace
// what its total is made of.
std::vector<std::string> heading_of(std::span<const CellResult> results);

}  // namespace maskerade
