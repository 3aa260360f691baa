#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "experiments/cli/commands.hpp"
#include "experiments/cli/run_outputs.hpp"
#include "experiments/cli/stop_signals.hpp"
#include "experiments/config/scalars.hpp"
#include "experiments/report/progress.hpp"
#include "experiments/report/terminal.hpp"
#include "experiments/report/text_table.hpp"
#include "experiments/stress/draw_cell.hpp"
#include "experiments/stress/reproduction.hpp"
#include "experiments/stress/shrink.hpp"
#include "experiments/stress/stress_totals.hpp"
#include "framework/base/error.hpp"
#include "framework/base/standard_streams.hpp"
#include "framework/base/stopwatch.hpp"
#include "framework/base/text.hpp"

namespace maskerade {
namespace {

constexpr std::int64_t kUsualCells = 1000;

// The command line of `stress`.
struct StressArguments {
  std::vector<std::string> maskers;  // ids; empty: all
  std::vector<std::string> plugins;  // files
  std::optional<std::int64_t> cells;
  std::string time;  // "": no bound
  std::uint64_t seed = 0;
  std::optional<std::int64_t> cell;  // this one alone
  int threads = 0;                   // 0: as many as a cell is drawn with
  std::string folder = ".";
};

using Maskers = std::vector<std::shared_ptr<const MaskerType>>;

// The maskers to draw from, by id. Notes say which are left out. Throws ConfigError for an unknown
// id, or when none is left.
Maskers choose_maskers(const StressArguments& arguments, std::vector<TextCell>& notes) {
  const Catalog catalog = find_maskers(arguments.plugins);
  Maskers chosen;
  for (const std::string& id : arguments.maskers) {
    if (catalog.find(id) != nullptr) continue;
    throw ConfigError(
        {}, fmt::format("there is no masker \"{}\"{}", id, catalog.hint_for(id, catalog.ids())));
  }
  for (const auto& type : catalog.types()) {
    const auto& named = arguments.maskers;
    if (!named.empty() && std::find(named.begin(), named.end(), type->id()) == named.end()) {
      continue;
    }
    const std::string reason = stress::why_left_out(*type);
    if (reason.empty()) {
      chosen.push_back(type);
    } else {
      notes.push_back({fmt::format("{} is left out: {}", type->id(), reason), Tone::kSecondary});
    }
  }
  if (chosen.empty()) {
    throw ConfigError({},
                      "there is no masker to draw: those that were found or named have required "
                      "files or texts, or there are none; see maskerade list");
  }
  return chosen;
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
    const std::optional<double> most_ms = parse_duration_ms(arguments.time);
    if (!most_ms) {
      throw ConfigError({}, "--time " + arguments.time +
                                ": give a time above 0 with its unit, such as 60s or 500ms");
    }
    bounds.most_ms = *most_ms;
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
                    const std::string& folder) {
  const stress::CellFailure smallest = stress::shrink(failure);
  clear_progress();
  const std::filesystem::path file = stress::write_reproduction(smallest, origin, folder);
  fmt::print("FAILED cell {}: ", origin.number);
  for (const std::string& line : stress::describe(smallest)) fmt::print("{}\n  ", line);
  fmt::print("written to {}\n  again: {}\n", printable(file.string()), printable(origin.command()));
}

int stress_maskers(const StressArguments& arguments) {
  if (arguments.threads > 0) Threads::check_count(arguments.threads, "--threads");
  const StressBounds bounds = bounds_of(arguments);
  std::vector<TextCell> notes;
  const Maskers maskers = choose_maskers(arguments, notes);
  std::filesystem::create_directories(arguments.folder);
  stop_on_signals();
  const Stopwatch stopwatch;
  stress::StressTotals totals(maskers);
  for (std::int64_t number = bounds.begin; number < bounds.end; ++number) {
    if (stopwatch.elapsed_ms() > bounds.most_ms || is_stop_requested()) break;
    show_progress(totals, number, stopwatch.elapsed_ms() / 1000);
    stress::DrawnCell drawn = stress::draw_cell(arguments.seed, number, maskers);
    stress::CellOutcome outcome;
    if (drawn.cell) {
      if (arguments.threads > 0) {
        drawn.cell->threads = std::min(drawn.cell->threads, arguments.threads);
      }
      outcome = stress::check_cell(*drawn.cell);
    }
    stress::CellOrigin origin{arguments.seed, number, further_arguments(arguments)};
    for (const std::size_t i : totals.add(drawn, outcome)) {
      report_failure(outcome.failures[i], origin, arguments.folder);
      ++origin.failure;
    }
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
      ->add_option("--cells", arguments->cells,
                   "Check that many cells [1000, or as many as --time lets]")
      ->type_name("N")
      ->check(CLI::Range(std::int64_t{1}, std::int64_t{1} << 40).description(""));
  stress_command->add_option("--time", arguments->time, "Begin no cell after that time: 60s, 500ms")
      ->type_name("TIME");
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
