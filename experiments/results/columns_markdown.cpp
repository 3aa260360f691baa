#include "experiments/results/columns_markdown.hpp"

#include "experiments/results/columns.hpp"

namespace maskerade {
namespace {

template <typename Record>
std::vector<std::string> lines_of(const std::vector<Column<Record>>& columns) {
  std::vector<std::string> lines = {"| column | type | unit | meaning |", "|---|---|---|---|"};
  for (const Column<Record>& column : columns) {
    lines.push_back("| `" + column.name + "` | " + std::string(name_of(column.type)) + " | " +
                    column.unit + (column.unit.empty() ? "| " : " | ") + column.meaning + " |");
  }
  return lines;
}

}  // namespace

std::vector<ColumnsMarkdown> columns_markdown() {
  return {{"Columns of a cell", lines_of(cell_columns())},
          {"Columns of a head", lines_of(head_columns())},
          {"Columns of a step", lines_of(step_columns())},
          {"Columns of the samples of a stage", lines_of(series_columns())},
          {"Columns of a run", lines_of(run_columns())},
          {"Columns of a cell that has begun", lines_of(started_columns())}};
}

}  // namespace maskerade
