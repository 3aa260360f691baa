#pragma once

#include <string>

#include "experiments/results/cell_result.hpp"

namespace maskerade {

// A result as one line of JSON: flat keys with units in their names, in a fixed order, each present
// when it was measured. NaN and infinity are null. No line break inside or at the end.
std::string to_json_line(const CellResult& result);

}  // namespace maskerade
