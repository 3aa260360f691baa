#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "experiments/results/cell_result.hpp"

namespace maskerade {

// The dense reference is the ruler of a workload: its medians may differ by this share between
// cells.
inline constexpr double kMostDenseDrift = 0.1;
// How many processors other processes may keep busy before the times say so.
inline constexpr double kMostOtherLoad = 0.5;

// What makes the times of one workload under one check doubtful, with the numbers of the cells
// concerned, device by device, as one text without line breaks: "doubtful times: ...; ..."; ""
// where nothing does: dense_ms that drifts by more than kMostDenseDrift, where the cells concerned
// are those that are farther than half of that, as a ratio, from the median of all; peaks that a
// result contradicts; other processes that kept more than kMostOtherLoad processors busy.
std::string note_on_ruler(std::span<const CellResult> results);

// The numbers of cells, shortened: "cell 3", "cells 3, 5-9, 12", "cells 1, 3, ...: 50 in all".
// Cells without a number are left out; "cells without a number" where none has one.
std::string cell_numbers_text(std::vector<std::int64_t> numbers);

}  // namespace maskerade
