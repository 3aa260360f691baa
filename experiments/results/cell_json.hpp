#pragma once

#include <string>

#include "experiments/results/cell_result.hpp"

namespace maskerade {

// A result as one line of JSON: an object with every column of exported_columns(), in their order.
// What was not measured is null, and so are NaN and infinity. No line break inside or at the end.
std::string to_json_line(const CellResult& result);

// The result of such a line, by the names of its fields, also where another version of the program
// wrote it: fields that this one does not know are passed over, and what a line lacks was not
// measured. It has no key and no parts. Throws Error when the line is no JSON object, or a value is
// none of its column's.
CellResult result_of_json_line(const std::string& line);

}  // namespace maskerade
