#pragma once

#include <string>

#include "experiments/results/cell_result.hpp"

namespace maskerade {

// A result as one line of JSON: an object with every column of exported_columns(), in their order.
// What was not measured is null, and so are NaN and infinity. No line break inside or at the end.
std::string to_json_line(const CellResult& result);

}  // namespace maskerade
