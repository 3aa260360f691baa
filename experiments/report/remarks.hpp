#pragma once

#include <span>
#include <string>
#include <vector>

#include "experiments/results/cell_result.hpp"

namespace maskerade {

// Whether its row blocks ran different kernels.
bool has_kernel_mix(const CellResult& result);

// Whether it was searched for, and no value of the parameter comes on both sides of the target.
bool is_unreachable(const CellResult& result);

// What is to be said of a result besides its numbers, a text each, without line breaks: what a
// search found, why it failed or is unavailable, whether a guarantee holds, what is odd about its
// mask.
std::vector<std::string> remarks_of(const CellResult& result);

// The same of successful results that differ in mask_seed alone, at least two. What is odd about
// the mask is that of the first seed where something is.
std::vector<std::string> remarks_of(std::span<const CellResult* const> seeds);

}  // namespace maskerade
