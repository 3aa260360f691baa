#pragma once

#include <span>
#include <string>
#include <vector>

#include "experiments/report/text_table.hpp"
#include "experiments/results/cell_result.hpp"

namespace maskerade {

// Whether the row blocks of the cell ran different kernels.
bool has_kernel_mix(const CellResult& result);

// What a reader must know of a result besides its numbers, as texts without line breaks: what a
// search found, why the cell failed or is unavailable, whether a guarantee holds, what is unusual
// about its mask and its timing. Failures and missed targets have their tones.
std::vector<TextCell> remarks_of(const CellResult& result);

// The same of successful results that differ in mask_seed alone. Of the mask it says what is
// unusual with the first seed that has something unusual. Requires at least one result.
std::vector<TextCell> remarks_of(std::span<const CellResult* const> seeds);

}  // namespace maskerade
