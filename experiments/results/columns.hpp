#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <variant>
#include <vector>

#include "experiments/results/cell_result.hpp"

namespace maskerade {

// What a result holds in one column; monostate: not measured. JSON is a text.
using ColumnValue =
    std::variant<std::monostate, bool, std::int64_t, std::uint64_t, double, std::string>;

enum class ColumnType {
  kText,
  kBoolean,
  kInteger,
  kUnsigned,  // all 64 bits: a seed
  kReal,
  kJson,
};

// One flat key of the results, its unit in its name.
struct Column {
  std::string name;
  ColumnType type;
  std::function<ColumnValue(const CellResult&)> get;
  // Gives a result what get() gave; a number that is null because it was NaN becomes NaN again once
  // its neighbours are set.
  std::function<void(CellResult&, const ColumnValue&)> set;
};

// Every key of a result in its order: the one list behind JSON, CSV and the database. A change here
// needs a new ResultStore::kFormat.
const std::vector<Column>& cell_columns();

// The inverse of get() for every column: values[i] belongs to cell_columns()[i]. Throws Error when
// a value is not of its column's type.
CellResult result_of(const std::vector<ColumnValue>& values);

}  // namespace maskerade
