#pragma once

#include <string>

#include "experiments/results/cell_result.hpp"

namespace maskerade {

// A result with its heads, steps and samples as bytes, from which another process of the same
// program makes the same result: every column of columns.hpp, bit for bit, NaN and infinity
// included.
std::string cell_message(const CellResult& result);

// The inverse. Throws Error when the bytes are no such message.
CellResult result_of_message(const std::string& message);

}  // namespace maskerade
