#pragma once

#include <span>
#include <vector>

#include "experiments/results/cell_result.hpp"

namespace maskerade {

// Splits results that lie in the order of their numbers into those of one workload under one check,
// as table_of takes them. A new block begins where the experiment or the workload is another,
// or where a pipeline comes again on the same device with the same kernel and seed: an experiment
// that sweeps its check repeats them all. The blocks are views of `results`.
std::vector<std::span<const CellResult>> blocks_of(std::span<const CellResult> results);

}  // namespace maskerade
