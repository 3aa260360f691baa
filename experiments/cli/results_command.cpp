#include <fmt/format.h>

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "experiments/cli/commands.hpp"
#include "experiments/cli/result_exports.hpp"
#include "experiments/report/blocks.hpp"
#include "experiments/report/run_report.hpp"
#include "experiments/report/table.hpp"
#include "experiments/report/terminal.hpp"
#include "experiments/report/views.hpp"
#include "experiments/results/columns_markdown.hpp"
#include "experiments/results/result_reader.hpp"
#include "experiments/results/result_store.hpp"
#include "framework/base/error.hpp"
#include "framework/base/text.hpp"

namespace maskerade {
namespace {

struct ResultsArguments {
  std::string path;
  std::vector<std::string> conditions;
  bool all = false;  // cells without a number too
  std::string view = "cells";
  std::vector<std::string> columns;  // of the results, by name, in the place of a view
  std::string order;                 // of --sort; "": by their numbers
  std::string format = "terminal";
  bool describes_columns = false;  // instead of reading results
  ExportPaths exports;
};

CellFilter filter_of(const std::vector<std::string>& conditions) {
  CellFilter filter;
  for (const std::string& condition : conditions) {
    const std::size_t equals = condition.find('=');
    if (equals == std::string::npos || equals == 0) {
      throw ConfigError(
          {}, "--where " + condition + ": give column=value, for example --where status=failed");
    }
    filter.conditions.push_back(
        {condition.substr(0, equals), storable(condition.substr(equals + 1))});
  }
  return filter;
}

int describe_columns() {
  for (const ColumnsMarkdown& table : columns_markdown()) {
    fmt::print("### {}\n\n", table.heading);
    for (const std::string& line : table.lines) fmt::print("{}\n", line);
    fmt::print("\n");
  }
  return kExitOk;
}

// The tables of a view of the cells.
std::vector<TextTable> tables_of(const ResultsArguments& arguments,
                                 const std::vector<CellResult>& cells) {
  std::vector<TextTable> tables;
  const auto ordered = [&](std::span<const CellResult> some) {
    std::vector<CellResult> sorted(some.begin(), some.end());
    if (!arguments.order.empty()) sort_by(arguments.order, sorted);
    return sorted;
  };
  if (!arguments.columns.empty()) {
    tables.push_back(column_table(ordered(cells), arguments.columns, arguments.format == "csv"));
  } else if (arguments.view == "methods") {
    tables = method_tables(ordered(cells));
  } else {
    for (const std::span<const CellResult> block : blocks_of(cells)) {
      tables.push_back(table_of(ordered(block)));
    }
  }
  return tables;
}

// On a terminal with the legend and the last lines of a run; else the tables alone.
void print_tables(const ResultsArguments& arguments, const std::vector<CellResult>& cells) {
  const std::vector<TextTable> tables = tables_of(arguments, cells);
  switch (*parse_table_format(arguments.format)) {
    case TableFormat::kTerminal: {
      RunReport report(terminal_style(stdout));
      for (const std::span<const CellResult> block : blocks_of(cells)) report.add(block);
      for (const TextTable& table : tables) fmt::print("{}", report.show(table));
      fmt::print("{}{}", report.legend(), report.end({}));
      return;
    }
    case TableFormat::kMarkdown:
      for (const TextTable& table : tables) fmt::print("{}\n", to_markdown(table));
      return;
    case TableFormat::kLatex:
      for (const TextTable& table : tables) fmt::print("{}\n", to_latex(table));
      return;
    case TableFormat::kCsv:
      fmt::print("{}", to_csv(tables));
      return;
  }
}

int show_results(const ResultsArguments& arguments) {
  if (arguments.describes_columns) return describe_columns();
  if (arguments.path.empty()) {
    throw ConfigError({},
                      "results: name the folder that a run was given with --out, or its "
                      "results.sqlite");
  }
  const CellFilter filter = filter_of(arguments.conditions);
  // Before anything is read.
  std::vector<CellResult> none;
  column_table(none, arguments.columns, false);
  if (!arguments.order.empty()) sort_by(arguments.order, none);
  const ResultReader reader(arguments.path);
  std::vector<ProtectedFile> protected_files;
  for (const std::filesystem::path& database : reader.files()) {
    for (const std::filesystem::path& file : database_files(database)) {
      protected_files.push_back({file, "is read by this command and would be replaced"});
    }
  }
  check_exports(arguments.exports, protected_files);
  std::vector<CellResult> cells = reader.cells(filter);
  const std::size_t others = arguments.all ? 0 : std::erase_if(cells, [](const CellResult& cell) {
    return cell.cell == CellResult::kNoNumber;
  });
  ResultExports exports(arguments.exports);
  for (const CellResult& cell : cells) exports.write(cell);
  print_tables(arguments, cells);
  if (others > 0 && arguments.format == "terminal") {
    fmt::print(
        "{} more of other versions of the experiment have no cell number; --all shows them\n",
        others);
  }
  return kExitOk;
}

}  // namespace

void add_results_command(CLI::App& program, Command& command) {
  const auto arguments = std::make_shared<ResultsArguments>();
  CLI::App* results_command = program.add_subcommand(
      "results", "Print the table of a run's results, also while it runs, and export them");
  results_command->add_option("DIR", arguments->path,
                              "The folder of --out, or its results.sqlite; nothing in it changes");
  results_command
      ->add_option(
          "--where", arguments->conditions,
          "Only cells of which a column (see --describe-columns) has this value; may be repeated")
      ->type_name("COLUMN=VALUE")
      ->allow_extra_args(false)
      ->take_all();
  results_command->add_flag("--all", arguments->all,
                            "Also cells of other versions of the experiment, its data or plugins");
  add_export_options(*results_command, arguments->exports);
  results_command
      ->add_option("--view", arguments->view,
                   "cells: a row a cell [default]; methods: a row a pipeline, with means and "
                   "standard deviations over workloads, layers and seeds")
      ->type_name("VIEW")
      ->check(CLI::IsMember({"cells", "methods"}).description(""));
  results_command
      ->add_option("--columns", arguments->columns,
                   "Print these columns of the results instead: names with commas between them")
      ->type_name("NAME,...")
      ->delimiter(',')
      ->allow_extra_args(false);
  results_command
      ->add_option("--sort", arguments->order,
                   "Sort the rows of each table by a column of the results, such as speedup:desc")
      ->type_name("COLUMN[:desc]");
  results_command
      ->add_option("--format", arguments->format,
                   "terminal [default], markdown, latex or csv; all but the first print the tables "
                   "alone, with every column")
      ->type_name("FORMAT")
      ->check(CLI::IsMember({"terminal", "markdown", "latex", "csv"}).description(""));
  results_command->add_flag("--describe-columns", arguments->describes_columns,
                            "Describe every column of the results: name, type, unit, meaning");
  results_command->footer(
      "Example: maskerade results results/quickstart --where status=failed --csv failed.csv");
  results_command->callback(
      [arguments, &command] { command = [arguments] { return show_results(*arguments); }; });
}

}  // namespace maskerade
