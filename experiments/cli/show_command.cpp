#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "experiments/cli/assignment_texts.hpp"
#include "experiments/cli/commands.hpp"
#include "experiments/cli/run_arguments.hpp"
#include "experiments/report/number_text.hpp"
#include "experiments/report/terminal.hpp"
#include "experiments/report/tile_map.hpp"
#include "experiments/run/current_workload.hpp"
#include "experiments/run/routed_pipeline.hpp"
#include "experiments/run/run_job.hpp"
#include "framework/base/error.hpp"
#include "framework/base/text.hpp"

namespace maskerade {
namespace {

// The lines of a map that shows all queries.
constexpr std::size_t kMostLines = 48;

// The command line of `show`.
struct ShowArguments {
  std::string file;
  std::optional<std::int64_t> cell;
  std::int64_t batch = 0;
  std::int64_t head = 0;
  std::string queries;  // "BEGIN:END"; "": all
  std::string keys;     // likewise
  std::vector<std::string> assignments;
  std::vector<std::string> plugins;
};

// The job of a number; without one, the first that is no dense reference.
Job choose_job(const Experiment& experiment, std::optional<std::int64_t> cell) {
  const std::vector<Job> jobs = make_jobs(experiment);
  if (cell) return choose_jobs(experiment, jobs, {.cells = {*cell}}).front();
  const auto found = std::find_if(jobs.begin(), jobs.end(),
                                  [](const Job& job) { return !job.is_dense_reference; });
  return found == jobs.end() ? jobs.front() : *found;
}

// The range that "BEGIN:END" states, all of `size` where the text is empty. Throws ConfigError.
IndexRange range_of(const char* option, const std::string& text, std::int64_t size) {
  if (text.empty()) return {0, size};
  IndexRange range;
  const char* const end = text.data() + text.size();
  const auto first = std::from_chars(text.data(), end, range.begin);
  const bool has_colon = first.ec == std::errc{} && first.ptr != end && *first.ptr == ':';
  const auto second =
      has_colon ? std::from_chars(first.ptr + 1, end, range.end) : std::from_chars_result{end, {}};
  if (!has_colon || second.ec != std::errc{} || second.ptr != end || range.begin < 0 ||
      range.begin >= range.end || range.end > size) {
    throw ConfigError(
        {}, fmt::format("{} {}: give BEGIN:END with 0 <= BEGIN < END <= {}", option, text, size));
  }
  return range;
}

std::int64_t checked_index(const char* option, std::int64_t index, std::int64_t count) {
  if (index < count) return index;
  throw ConfigError({}, fmt::format("{} {}: there are {}, numbered from 0", option, index, count));
}

// The mask of select_job(). Throws ConfigError where the cell cannot run here.
Mask selected(const Experiment& experiment,
              const Job& job,
              const Pipeline& pipeline,
              const RunOptions& options,
              CurrentWorkload& current,
              CellResult& result) {
  try {
    return select_job(experiment, job, pipeline, options, current, result);
  } catch (const UnavailableError& error) {
    throw ConfigError({},
                      fmt::format("cell {} cannot run here: {}", job.cell.number, error.what()));
  }
}

int show(const ShowArguments& arguments) {
  const Catalog catalog = find_maskers(arguments.plugins);
  const Experiment experiment = read_experiment(
      arguments.file, assignments_of(arguments.assignments), catalog, find_presets());
  check_pipelines(experiment);
  const Job job = choose_job(experiment, arguments.cell);
  RunOptions options;
  std::string ignored;
  options.costs = find_costs(ignored);
  CurrentWorkload current(experiment, options);
  const OpenedWorkload& opened = current.load(job.cell);
  if (!opened.description) throw ConfigError({}, opened.failure);
  const Pipeline pipeline = pipeline_of(experiment, job, &*opened.description);
  CellResult result = describe_job(experiment, job, options);
  const Mask mask = selected(experiment, job, pipeline, options, current, result);

  const AttentionShape& shape = current.workload().shape;
  const MapWindow window{
      .batch = mask.extent_batch(checked_index("--batch", arguments.batch, shape.batch)),
      .head = mask.extent_head(checked_index("--head", arguments.head, shape.query_heads),
                               shape.query_heads),
      .queries = range_of("--queries", arguments.queries, mask.query_len()),
      .keys = range_of("--keys", arguments.keys, mask.key_len())};
  const TileMap map = tile_map(mask, window, terminal_style(stdout).width, kMostLines);
  fmt::print("cell {}, {}: {}\nbatch {}, head {}, queries {} to {} by {}, keys {} to {} by {}\n",
             result.cell, printable(result.workload), printable(result.pipeline), arguments.batch,
             arguments.head, window.queries.begin, window.queries.end - 1, map.queries_per_line,
             window.keys.begin, window.keys.end - 1, map.keys_per_character);
  for (const std::string& line : map.lines) fmt::print("{}\n", line);
  fmt::print(
      "· nothing active, ░ less than a quarter of what is visible, ▒ less than three quarters, ▓ "
      "less than all, █ all; at the right the density of the line\n");
  return kExitOk;
}

}  // namespace

void add_show_command(CLI::App& program, Command& command) {
  const auto arguments = std::make_shared<ShowArguments>();
  CLI::App* show_command = program.add_subcommand(
      "show", "Show which keys a cell of an experiment selects, as a map in the terminal");
  show_command->add_option("FILE", arguments->file, "The experiment (YAML)")->required();
  show_command
      ->add_option("--cell", arguments->cell,
                   "The cell of this number (run --dry-run lists them) [the first with maskers]")
      ->type_name("N");
  show_command->add_option("--head", arguments->head, "The query head [0]")
      ->type_name("H")
      ->check(CLI::NonNegativeNumber.description(""));
  show_command->add_option("--batch", arguments->batch, "The batch entry [0]")
      ->type_name("B")
      ->check(CLI::NonNegativeNumber.description(""));
  show_command->add_option("--queries", arguments->queries, "Show only these queries [all]")
      ->type_name("BEGIN:END");
  show_command->add_option("--keys", arguments->keys, "Show only these keys [all]")
      ->type_name("BEGIN:END");
  show_command
      ->add_option("--set", arguments->assignments,
                   "Replace or add a value of the experiment; may be repeated")
      ->type_name("KEY=VALUE")
      ->allow_extra_args(false)
      ->take_all();
  add_plugin_option(*show_command, arguments->plugins);
  show_command->footer(
      "Example: maskerade show experiments/quickstart.yaml --cell 2 --head 3 --keys 0:64");
  show_command->callback(
      [arguments, &command] { command = [arguments] { return show(*arguments); }; });
}

}  // namespace maskerade
