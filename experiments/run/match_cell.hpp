#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "experiments/run/run_cell.hpp"

namespace maskerade {

// The maskers of a cell with the parameter of `match` set to the value, in its ParameterRange,
// whose measured quantity is nearest to the target. A probe makes what the quantity needs: prepare
// and select for density; plan and, for errors and recall, attend besides; for total_ms all stages,
// repeated until the median is known to 5 % or a tenth of the cell's time budget is spent. Fills
// result.match and the parameter in result.params. Throws what a stage throws.
std::vector<MaskerUse> match_cell(const CellContext& context,
                                  const std::vector<MaskerUse>& maskers,
                                  const MatchSpec& match,
                                  const std::optional<Kernel>& kernel,
                                  std::uint64_t mask_seed,
                                  CellResult& result);

}  // namespace maskerade
