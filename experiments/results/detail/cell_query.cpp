#include "experiments/results/detail/cell_query.hpp"

#include <utility>
#include <vector>

#include "experiments/results/columns.hpp"
#include "experiments/results/detail/results_file.hpp"
#include "experiments/results/detail/table_sql.hpp"
#include "framework/base/error.hpp"

namespace maskerade::detail {
namespace {

// Of a table of parts of cells: those of one cell, in order.
template <typename Record>
std::string select_parts(const char* table, const std::vector<Column<Record>>& columns) {
  std::string positions;
  for (const Column<Record>& column : columns) {
    if (column.role != ColumnRole::kPosition) continue;
    positions += (positions.empty() ? "" : ", ") + column.name;
  }
  return select_statement(table, columns) + " WHERE key = ? ORDER BY " + positions;
}

template <typename Record>
std::vector<Record> read_parts(Statement& select,
                               const std::vector<Column<Record>>& columns,
                               const std::string& key) {
  std::vector<Record> parts;
  select.reset();
  select.bind(1, key);
  while (select.step()) parts.push_back(record_of(columns, row_values(select, columns)));
  select.reset();
  return parts;
}

}  // namespace

CellQuery::CellQuery(const Database& database, const std::string& rest, CellParts parts)
    : file_{database.file(), database.access()},
      parts_(parts),
      cells_(database.prepare(select_statement(kCellsTable, cell_columns()) + " " + rest)),
      heads_(database.prepare(select_parts(kHeadsTable, head_columns()))),
      steps_(database.prepare(select_parts(kStepsTable, step_columns()))),
      samples_(database.prepare(select_parts(kSamplesTable, series_columns()))) {}

std::optional<CellResult> CellQuery::next(const std::function<bool(const CellResult&)>& accepts) {
  while (cells_.step()) {
    const std::vector<ColumnValue> values = row_values(cells_, cell_columns());
    try {
      CellResult cell = record_of(cell_columns(), values);
      if (accepts && !accepts(cell)) continue;
      if (parts_ == CellParts::kNone) return cell;
      for (HeadRow& row : read_parts(heads_, head_columns(), cell.key)) {
        cell.heads.push_back(std::move(row.head));
      }
      for (StepRow& row : read_parts(steps_, step_columns(), cell.key)) {
        cell.steps.push_back(std::move(row.step));
      }
      for (SeriesRow& row : read_parts(samples_, series_columns(), cell.key)) {
        cell.samples.push_back(std::move(row.series));
      }
      return cell;
    } catch (const ConfigError&) {  // of the database
      throw;
    } catch (const Error& error) {
      throw ConfigError({.file = file_.path.string()},
                        "cell " + text_of(values.front()) + " cannot be read (" + error.what() +
                            "); delete it from the table cells, or " +
                            (file_.access == FileAccess::kWrite
                                 ? "name another folder with --out"
                                 : "run the experiment again into another folder"));
    }
  }
  return std::nullopt;
}

}  // namespace maskerade::detail
