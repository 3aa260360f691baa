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
#include "experiments/report/kernel_comparison.hpp"
#include "experiments/report/table.hpp"
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
  bool all = false;      // cells without a number too
  bool columns = false;  // describes the columns instead
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

int print_columns() {
  for (const ColumnsMarkdown& table : columns_markdown()) {
    fmt::print("### {}\n\n", table.heading);
    for (const std::string& line : table.lines) fmt::print("{}\n", line);
    fmt::print("\n");
  }
  return kExitOk;
}

void print_tables(const std::vector<CellResult>& cells) {
  KernelComparison comparison;
  StatusCounts counts;
  for (const std::span<const CellResult> block : blocks_of(cells)) {
    fmt::print("{}\n", format_block(block));
    comparison.add(block);
  }
  for (const CellResult& cell : cells) counts.add(cell.status);
  if (!cells.empty()) fmt::print("{}{}", comparison.text(), format_legend());
  fmt::print("{}\n", format_counts(counts));
}

int show_results(const ResultsArguments& arguments) {
  if (arguments.columns) return print_columns();
  if (arguments.path.empty()) {
    throw ConfigError({},
                      "results: name the folder that a run was given with --out, or its "
                      "results.sqlite");
  }
  const CellFilter filter = filter_of(arguments.conditions);
  const ResultReader reader(arguments.path);
  std::vector<ProtectedFile> protected_files;
  for (const std::filesystem::path& file : database_files(reader.files().front())) {
    protected_files.push_back({file, "is read by this command and would be replaced"});
  }
  check_exports(arguments.exports, protected_files);
  std::vector<CellResult> cells = reader.cells(filter);
  const std::size_t others = arguments.all ? 0 : std::erase_if(cells, [](const CellResult& cell) {
    return cell.cell == CellResult::kNoNumber;
  });
  ResultExports exports(arguments.exports);
  for (const CellResult& cell : cells) exports.write(cell);
  print_tables(cells);
  if (others > 0) {
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
      ->add_option("--where", arguments->conditions,
                   "Only cells of which a column (see --columns) has this value; may be repeated")
      ->type_name("COLUMN=VALUE")
      ->allow_extra_args(false)
      ->take_all();
  results_command->add_flag("--all", arguments->all,
                            "Also cells of other versions of the experiment, its data or plugins");
  add_export_options(*results_command, arguments->exports);
  results_command->add_flag("--columns", arguments->columns,
                            "Describe every column instead: name, type, unit, meaning");
  results_command->footer(
      "Example: maskerade results results/quickstart --where status=failed --csv failed.csv");
  results_command->callback(
      [arguments, &command] { command = [arguments] { return show_results(*arguments); }; });
}

}  // namespace maskerade
