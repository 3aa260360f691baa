#include "experiments/cli/compare_runs.hpp"

#include <fmt/format.h>
#include <stdlib.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <optional>
#include <system_error>

#include "experiments/cli/assignment_texts.hpp"
#include "experiments/cli/commands.hpp"
#include "experiments/cli/stop_signals.hpp"
#include "experiments/compare/program_run.hpp"
#include "experiments/config/experiment.hpp"
#include "experiments/run/job_choice.hpp"
#include "experiments/run/runner.hpp"
#include "framework/base/error.hpp"
#include "framework/base/standard_streams.hpp"
#include "framework/base/stopwatch.hpp"

namespace maskerade {
namespace {

namespace fs = std::filesystem;

using compare::Build;

constexpr double kLeastTurnMs = 20;

// Where the results of one comparison lie, while it runs and, if the user names a folder, after it.
class ComparisonFolder {
 public:
  explicit ComparisonFolder(const std::string& named) : path_(named), is_kept_(!named.empty()) {
    if (!is_kept_) {
      std::string pattern = (fs::temp_directory_path() / "maskerade-compare-XXXXXX").string();
      if (mkdtemp(pattern.data()) == nullptr) {
        throw ConfigError({.file = pattern},
                          "cannot be made; name a folder for the results with --out");
      }
      path_ = pattern;
    }
    std::error_code error;
    for (const char* side : {"A", "B"}) {
      if (fs::exists(path_ / side, error)) {
        throw ConfigError({.file = (path_ / side).string()},
                          "holds an earlier comparison; name another folder with --out");
      }
      fs::create_directories(path_ / side, error);
      if (error) {
        throw ConfigError(
            {.file = (path_ / side).string()},
            "cannot be made (" + error.message() + "); name another folder with --out");
      }
    }
  }
  ~ComparisonFolder() {
    std::error_code ignored;
    if (!is_kept_) fs::remove_all(path_, ignored);
  }
  ComparisonFolder(const ComparisonFolder&) = delete;
  ComparisonFolder& operator=(const ComparisonFolder&) = delete;

  fs::path turn() const { return path_ / "turn.jsonl"; }
  fs::path log() const { return path_ / "log.txt"; }

  // Adds a turn's lines to the file of its run.
  void keep_turn(Build build, std::size_t run) const {
    const fs::path file =
        path_ / (build == Build::kA ? "A" : "B") / fmt::format("run-{:03}.jsonl", run + 1);
    std::ofstream to(file, std::ios::app | std::ios::binary);
    std::ifstream from(turn(), std::ios::binary);
    if (from.peek() != std::ifstream::traits_type::eof()) to << from.rdbuf();
    to.close();
    if (!to) throw ConfigError({.file = file.string()}, "cannot be written; is the disk full?");
  }

 private:
  fs::path path_;
  bool is_kept_;
};

// The experiment as both programs are to run it.
struct TurnPlan {
  std::vector<std::int64_t> cells;
  std::vector<std::string> assignments;  // of --set
};

// How long a turn repeats a cell, in whole milliseconds. text: of --turn.
double chosen_turn_ms(const std::string& text, const Experiment& experiment, int rounds) {
  double ms = 0;
  if (text.empty()) {
    for (const CellRules& rules : experiment.checks) {
      ms = std::max(ms, turn_ms(rules.measure.budget_ms, rounds));
    }
  } else {
    ms = duration_ms("--turn", text);
  }
  return std::max(std::round(ms), 1.0);
}

TurnPlan plan_of(const CompareRunArguments& arguments, int rounds) {
  std::vector<std::string> plugins = arguments.plugins;
  const std::vector<std::string>& other =
      arguments.plugins_a.empty() ? arguments.plugins_b : arguments.plugins_a;
  plugins.insert(plugins.end(), other.begin(), other.end());
  const Catalog catalog = find_maskers(plugins);
  const PresetTable presets = find_presets();
  const auto jobs_with = [&](const std::vector<std::string>& assignments, Experiment& experiment) {
    experiment = read_experiment(arguments.file, assignments_of(assignments), catalog, presets);
    check_pipelines(experiment);
    return choose_jobs(experiment, make_jobs(experiment), {.pipelines = arguments.only});
  };
  TurnPlan plan{.cells = {}, .assignments = arguments.assignments};
  Experiment experiment;
  const std::vector<Job> jobs = jobs_with(arguments.assignments, experiment);
  for (const Job& job : jobs) plan.cells.push_back(static_cast<std::int64_t>(job.cell.number));
  plan.assignments.push_back(
      fmt::format("measure.budget={:.0f}ms", chosen_turn_ms(arguments.turn, experiment, rounds)));
  if (jobs_with(plan.assignments, experiment).size() != jobs.size()) {
    throw ConfigError({.file = arguments.file},
                      "sweeps over measure.budget, which compare --run sets; give it one value");
  }
  return plan;
}

// One turn of a program, as it would be typed.
std::vector<std::string> words_of(const CompareRunArguments& arguments,
                                  const TurnPlan& plan,
                                  Build build,
                                  const fs::path& json,
                                  const std::vector<std::int64_t>& cells) {
  std::vector<std::string> words = {"run",     arguments.file, "--no-peaks",
                                    "--quiet", "--json",       json.string()};
  const auto add = [&](const char* option, const std::vector<std::string>& values) {
    for (const std::string& value : values) words.insert(words.end(), {option, value});
  };
  add("--set", plan.assignments);
  add("--plugin", arguments.plugins);
  add("--plugin", build == Build::kA ? arguments.plugins_a : arguments.plugins_b);
  if (arguments.threads > 0) add("--threads", {std::to_string(arguments.threads)});
  for (const std::int64_t cell : cells) add("--cell", {std::to_string(cell)});
  return words;
}

void show_progress(int round, int rounds, std::size_t undecided, double seconds) {
  write_message(stderr, fmt::format("\r\x1b[Kround {} of {} at most, {} cells without a verdict, "
                                    "{:.0f} s",
                                    round, rounds, undecided, seconds));
}

}  // namespace

double turn_ms(double budget_ms, int rounds) {
  return std::max(budget_ms / (2 * rounds), kLeastTurnMs);
}

compare::AlternatedRuns run_alternated(const CompareRunArguments& arguments,
                                       const compare::AlternationOptions& alternation,
                                       const compare::CompareOptions& options) {
  const TurnPlan plan = plan_of(arguments, alternation.rounds);
  const ComparisonFolder folder(arguments.folder);
  stop_on_signals();
  const compare::RunCells run_cells = [&](Build build, std::size_t run,
                                          const std::vector<std::int64_t>& cells) {
    const std::string& program = build == Build::kA ? arguments.program_a : arguments.program_b;
    const compare::ProgramEnd end =
        compare::run_program(program, words_of(arguments, plan, build, folder.turn(), cells),
                             folder.log(), is_stop_requested);
    if (is_stop_requested()) return std::vector<CellResult>();
    if (!end.signal.empty() || (end.exit_code != kExitOk && end.exit_code != kExitFailed)) {
      throw ConfigError(
          {.file = program},
          fmt::format("{} when it ran cells {} of {}: {}",
                      end.signal.empty() ? fmt::format("ended with exit code {}", end.exit_code)
                                         : "was ended by " + end.signal,
                      fmt::join(cells, ", "), arguments.file, end.output));
    }
    folder.keep_turn(build, run);
    return compare::read_json_lines(folder.turn()).cells;
  };
  const Stopwatch watch;
  compare::AlternationListener listener{.is_stopped = is_stop_requested};
  if (arguments.shows_progress) {
    listener.on_turn = [&](int round, std::size_t undecided) {
      show_progress(round, alternation.rounds, undecided, watch.elapsed_ms() / 1000);
    };
  }
  compare::AlternatedRuns runs =
      compare::alternate(plan.cells, alternation, options, run_cells, listener);
  if (arguments.shows_progress) write_message(stderr, "\r\x1b[K");
  std::error_code ignored;
  for (const fs::path& file : {folder.turn(), folder.log()}) fs::remove(file, ignored);
  return runs;
}

}  // namespace maskerade
