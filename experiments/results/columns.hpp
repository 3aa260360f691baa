#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "experiments/results/cell_result.hpp"
#include "experiments/results/column.hpp"
#include "experiments/results/run_record.hpp"
#include "framework/base/error.hpp"

namespace maskerade {

// The version of the six lists below. A change of a name, a type or a role needs the next one;
// files of another version are refused.
inline constexpr std::int64_t kResultsFormat = 6;

// A row of the table heads.
struct HeadRow {
  std::string key;         // of its cell
  std::int64_t layer = 0;  // of its cell's data
  HeadResult head;
};

// A row of the table steps.
struct StepRow {
  std::string key;  // of its cell
  StepResult step;
};

// A row of the table samples.
struct SeriesRow {
  std::string key;  // of its cell
  StageSeries series;
};

// Every column of the tables cells, heads, steps and samples, in its order, the cell's key first.
const std::vector<Column<CellResult>>& cell_columns();
const std::vector<Column<HeadRow>>& head_columns();
const std::vector<Column<StepRow>>& step_columns();
const std::vector<Column<SeriesRow>>& series_columns();
// Those of the tables runs and started.
const std::vector<Column<RunRecord>>& run_columns();
const std::vector<Column<StartedCell>>& started_columns();

// The column of cells of that name. Throws ConfigError, with the nearest name, where there is none.
const Column<CellResult>& cell_column(const std::string& name);

// The fields of the JSON and the CSV exports: cell_columns() without the key.
std::span<const Column<CellResult>> exported_columns();

// The inverse of get() for every column: values[i] belongs to columns[i]. Throws Error, which names
// the column, when a value is none of its column's.
template <typename Record>
Record record_of(const std::vector<Column<Record>>& columns,
                 const std::vector<ColumnValue>& values) {
  Record record;
  // Rationale: what is there says which parts were measured; only then does a null in them mean
  // NaN. So all values come first, then all nulls.
  for (const bool sets_nulls : {false, true}) {
    for (std::size_t i = 0; i < columns.size(); ++i) {
      if (std::holds_alternative<std::monostate>(values[i]) != sets_nulls) continue;
      try {
        columns[i].set(record, values[i]);
      } catch (const Error& error) {
        throw Error("column " + columns[i].name + ": " + error.what());
      }
    }
  }
  return record;
}

}  // namespace maskerade
