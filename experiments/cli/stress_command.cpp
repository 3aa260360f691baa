#include <fmt/format.h>
#include <fmt/ranges.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <functional>
#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "attention/backend_table.hpp"
#include "experiments/cli/commands.hpp"
#include "experiments/cli/given_arguments.hpp"
#include "experiments/cli/run_outputs.hpp"
#include "experiments/cli/stop_signals.hpp"
#include "experiments/report/progress.hpp"
#include "experiments/report/terminal.hpp"
#include "experiments/report/text_table.hpp"
#include "experiments/rules/masker_rules.hpp"
#include "experiments/run/run_cell.hpp"
#include "experiments/stress/cell_series.hpp"
#include "experiments/stress/cell_stream.hpp"
#include "experiments/stress/reproduction.hpp"
#include "experiments/stress/shrink.hpp"
#include "experiments/stress/worker_checker.hpp"
#include "framework/base/error.hpp"
#include "framework/base/standard_streams.hpp"
#include "framework/base/stopwatch.hpp"
#include "framework/base/text.hpp"

namespace maskerade {
namespace {

constexpr std::int64_t kUsualCells = 1000;
// The most that a worker's memory may grow over one cell, of some megabytes of data.
constexpr std::int64_t kMostGrowth = 4'000'000'000;
constexpr const char* kPublished = "published";

// The command line of `stress`.
struct StressArguments {
  std::vector<std::string> maskers;     // ids; empty: all
  std::vector<std::string> plugins;     // files
  std::vector<std::string> references;  // files
  GivenArguments given;
  std::vector<std::string> devices = {"cpu"};
  std::string suite;  // "": random cells
  std::optional<std::int64_t> cells;
  std::string time;  // "": no bound
  std::string cell_timeout = "300s";
  std::string shrink_time = "60s";
  std::uint64_t seed = 0;
  std::optional<std::int64_t> cell;  // this one alone
  int threads = 0;                   // 0: as many as a cell is drawn with
  bool stops_at_failure = false;
  int workers = Threads::all_processors().count();
  std::string folder = ".";
};

using Maskers = std::vector<stress::StressMasker>;

// The maskers to draw from, by id, with their references. Notes say which are left out. Throws
// ConfigError for an unknown id, or when none is left.
Maskers choose_maskers(const StressArguments& arguments,
                       const Catalog& catalog,
                       const Catalog& references,
                       std::vector<TextCell>& notes) {
  for (const std::string& id : arguments.maskers) {
    if (catalog.find(id) != nullptr) continue;
    throw ConfigError(
        {}, fmt::format("there is no masker \"{}\"{}", id, catalog.hint_for(id, catalog.ids())));
  }
  Maskers chosen;
  std::map<std::string, std::string> left_out;  // ids, by reason
  for (const auto& type : catalog.types()) {
    const auto& named = arguments.maskers;
    if (!named.empty() && std::find(named.begin(), named.end(), type->id()) == named.end()) {
      continue;
    }
    std::string reason = stress::why_left_out(*type, given_of(arguments.given));
    if (!arguments.suite.empty() && !rules::budget_parameter(*type)) {
      reason = "no budget of keys, which the suites set";
    }
    if (reason.empty()) {
      chosen.push_back({.type = type, .reference = references.find(type->id())});
    } else {
      std::string& ids = left_out[reason];
      ids += (ids.empty() ? "" : ", ") + type->id();
    }
  }
  for (const auto& [reason, ids] : left_out) {
    notes.push_back({fmt::format("left out: {}: {}", ids, reason), Tone::kSecondary});
  }
  if (chosen.empty()) {
    throw ConfigError({},
                      "there is no masker to draw: those that were found or named have required "
                      "files or texts, no budget for a suite to set, or there are none; see "
                      "maskerade list");
  }
  return chosen;
}

// Throws ConfigError for a device that is not there.
void check_devices(const std::vector<std::string>& devices) {
  for (const std::string& device : devices) {
    const auto table = backend_table();
    const auto row = std::find_if(table.begin(), table.end(),
                                  [&](const BackendRow& each) { return each.name == device; });
    const std::string problem = row == table.end()
                                    ? fmt::format("there are {}", fmt::join(backend_names(), ", "))
                                    : row->absence();
    if (!problem.empty()) throw ConfigError({}, "--devices " + device + ": " + problem);
  }
}

// How many cells there may be, and the time in milliseconds after which no further one begins.
struct StressBounds {
  std::int64_t begin = 0;
  std::int64_t end = kUsualCells;
  double most_ms = std::numeric_limits<double>::infinity();
};
StressBounds bounds_of(const StressArguments& arguments) {
  StressBounds bounds;
  if (!arguments.time.empty()) {
    bounds.most_ms = duration_ms("--time", arguments.time);
    bounds.end = std::numeric_limits<std::int64_t>::max();
  }
  if (arguments.cells) bounds.end = *arguments.cells;
  if (arguments.cell) {
    bounds.begin = *arguments.cell;
    bounds.end = *arguments.cell + 1;
  }
  return bounds;
}

// What the command that draws a cell again says beside seed and cell: which maskers there are
// decides what is drawn.
std::string further_arguments(const StressArguments& arguments) {
  std::string text;
  std::string ids;
  for (const std::string& id : arguments.maskers) ids += (ids.empty() ? "" : ",") + id;
  if (!ids.empty()) text += " --maskers " + ids;
  for (const std::string& plugin : arguments.plugins) text += " --plugin " + plugin;
  for (const std::string& file : arguments.references) text += " --reference " + file;
  if (!arguments.suite.empty()) text += " --suite " + arguments.suite;
  text += stress::arguments_of(given_of(arguments.given));
  if (arguments.devices != std::vector<std::string>{"cpu"}) {
    text += fmt::format(" --devices {}", fmt::join(arguments.devices, ","));
  }
  if (arguments.threads > 0) text += fmt::format(" --threads {}", arguments.threads);
  return text;
}

// A terminal's line about the cell in hand.
void show_progress(const stress::StressTotals& totals, std::int64_t number, double seconds) {
  if (isatty(STDERR_FILENO) == 0) return;
  write_message(stderr, fmt::format("\r\x1b[Kcell {}, {} checks, {} failures, {:.0f} s", number,
                                    totals.checks(), totals.failures(), seconds));
}
void clear_progress() {
  if (isatty(STDERR_FILENO) != 0) write_message(stderr, "\r\x1b[K");
}

// Shrinks, prints and writes a failure.
void report_failure(const stress::CellFailure& failure,
                    const stress::CellOrigin& origin,
                    const StressArguments& arguments,
                    stress::CellChecker& checker) {
  const stress::CellFailure smallest =
      stress::shrink(failure, checker, duration_ms("--shrink-time", arguments.shrink_time));
  clear_progress();
  const std::filesystem::path file = stress::write_reproduction(smallest, origin, arguments.folder);
  fmt::print("FAILED cell {}: ", origin.number);
  for (const std::string& line : stress::describe(smallest)) fmt::print("{}\n  ", line);
  fmt::print("written to {}\n  again: {}\n", printable(file.string()), printable(origin.command()));
}

stress::CellSeries series_of(const StressArguments& arguments, const Maskers& maskers) {
  if (!arguments.suite.empty()) {
    return stress::published_series(maskers, arguments.seed, arguments.devices.back());
  }
  stress::CellPopulation population{.seed = arguments.seed,
                                    .maskers = maskers,
                                    .given = given_of(arguments.given),
                                    .devices = arguments.devices};
  if (arguments.threads > 0) population.most_threads = arguments.threads;
  return stress::random_series(population);
}

int stress_maskers(const StressArguments& arguments) {
  if (arguments.threads > 0) Threads::check_count(arguments.threads, "--threads");
  Threads::check_count(arguments.workers, "--workers");
  const StressBounds bounds = bounds_of(arguments);
  check_devices(arguments.devices);
  const double cell_timeout_ms = duration_ms("--cell-timeout", arguments.cell_timeout);
  duration_ms("--shrink-time", arguments.shrink_time);
  const Catalog catalog = find_maskers(arguments.plugins);
  const Catalog references = find_references(arguments.references);
  std::vector<TextCell> notes;
  const Maskers maskers = choose_maskers(arguments, catalog, references, notes);
  std::filesystem::create_directories(arguments.folder);
  stop_on_signals();

  const auto make_checker = [&] {
    return std::make_unique<stress::WorkerChecker>(
        WorkerSetup{.duty = WorkerDuty::kCheckCells,
                    .libraries = inherited_libraries(catalog),
                    .references = inherited_libraries(references)},
        WorkerLimits{.timeout_ms = cell_timeout_ms,
                     .growth_bytes = kMostGrowth,
                     .timeout_name = "--cell-timeout",
                     .growth_name = "a cell may"},
        is_stop_requested);
  };
  stress::CellSeries series = series_of(arguments, maskers);
  stress::StressTotals& totals = series.totals;
  const std::unique_ptr<stress::CellChecker> shrinker = make_checker();
  const Stopwatch stopwatch;
  stress::CellStream stream(
      {.begin = bounds.begin,
       .end = std::min(bounds.end, series.count),
       .workers = arguments.workers,
       .make_checker = make_checker,
       .check = series.check,
       .is_over = [&] { return stopwatch.elapsed_ms() > bounds.most_ms || is_stop_requested(); }});
  try {
    while (const std::optional<stress::CheckedCell> checked = stream.next()) {
      stress::CellOrigin origin{arguments.seed, checked->number, further_arguments(arguments)};
      for (const std::size_t i : totals.add(*checked)) {
        report_failure(checked->outcome.failures[i], origin, arguments, *shrinker);
        ++origin.failure;
      }
      if (arguments.stops_at_failure && totals.failures() > 0) break;
      show_progress(totals, checked->number, stopwatch.elapsed_ms() / 1000);
    }
  } catch (const RunStopped&) {  // the table says what was checked before
  }
  clear_progress();
  TextTable table = totals.table();
  table.notes.insert(table.notes.end(), notes.begin(), notes.end());
  const TerminalStyle style = terminal_style(stdout);
  fmt::print("{}{}{}\n", to_terminal(table, style),
             packed(legend_within(table, style.width), style.width),
             totals.last_line(stopwatch.elapsed_ms() / 1000));
  if (is_stop_requested()) return kExitInterrupted;
  return totals.failures() == 0 ? kExitOk : kExitFailed;
}

}  // namespace

void add_stress_command(CLI::App& program, Command& command) {
  const auto arguments = std::make_shared<StressArguments>();
  CLI::App* stress_command = program.add_subcommand(
      "stress", "Check what must hold of every masker, mask and kernel on random cells");
  stress_command
      ->add_option("--maskers", arguments->maskers, "Draw only these maskers, separated by commas")
      ->type_name("NAME,...")
      ->delimiter(',')
      ->allow_extra_args(false)
      ->take_all();
  add_plugin_option(*stress_command, arguments->plugins);
  stress_command
      ->add_option("--reference", arguments->references,
                   "Compare with this library's masker of the same id, the same one written "
                   "plainly; may be repeated")
      ->type_name("FILE")
      ->allow_extra_args(false)
      ->take_all();
  add_given_options(*stress_command, arguments->given);
  stress_command
      ->add_option("--suite", arguments->suite,
                   "Check these cells in the place of random ones: published, the eight suites of "
                   "top-k from a previous mask, for each masker with a budget")
      ->type_name("NAME")
      ->check(CLI::IsMember({kPublished}).description(""));
  stress_command
      ->add_option("--devices", arguments->devices,
                   "Draw cells for these devices, separated by commas [cpu]")
      ->type_name("NAME,...")
      ->delimiter(',')
      ->allow_extra_args(false)
      ->take_all();
  stress_command
      ->add_option("--cells", arguments->cells,
                   "Check that many cells [1000, or as many as --time lets]")
      ->type_name("N")
      ->check(CLI::Range(std::int64_t{1}, std::int64_t{1} << 40).description(""));
  stress_command->add_option("--time", arguments->time, "Begin no cell after that time: 60s, 500ms")
      ->type_name("TIME");
  stress_command
      ->add_option("--cell-timeout", arguments->cell_timeout,
                   "A cell that takes longer breaks the rule of survival [300s]")
      ->type_name("TIME");
  stress_command
      ->add_option("--shrink-time", arguments->shrink_time,
                   "Look for a smaller cell that fails alike for at most that time [60s]")
      ->type_name("TIME");
  stress_command
      ->add_option("--workers", arguments->workers,
                   "Check cells in N processes at once [the number of processors]")
      ->type_name("N")
      ->check(CLI::Range(1, std::numeric_limits<int>::max()).description(""));
  stress_command->add_flag("--fail-fast", arguments->stops_at_failure,
                           "End with the first cell that breaks a rule");
  stress_command
      ->add_option("--seed", arguments->seed,
                   "Cell I depends on the seed, on I and on the maskers alone [0]")
      ->type_name("S");
  stress_command->add_option("--cell", arguments->cell, "Check only the cell of this number")
      ->type_name("I")
      ->check(CLI::Range(std::int64_t{0}, std::int64_t{1} << 40).description(""));
  stress_command
      ->add_option("--threads", arguments->threads,
                   "The most threads that a cell is drawn with [4]; the rule of repeats tries 1, 2 "
                   "and 3 whatever it is")
      ->type_name("N")
      ->check(CLI::Range(1, std::numeric_limits<int>::max()).description(""));
  stress_command
      ->add_option("--out", arguments->folder,
                   "Write the experiment files of failures to DIR, which is created when it is "
                   "missing [the working folder]")
      ->type_name("DIR")
      ->check(path_is_not_empty());
  stress_command->footer(
      "A failure is shrunk and written to stress-SEED-CELL.yaml. Exit codes: 0 no failure, 1 a "
      "failure, 2 wrong command line.\n"
      "Example: maskerade stress --plugin my_band.so --maskers my_band,sink --cells 200");
  stress_command->callback(
      [arguments, &command] { command = [arguments] { return stress_maskers(*arguments); }; });
}

}  // namespace maskerade
