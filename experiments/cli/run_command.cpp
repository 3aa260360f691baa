#include <algorithm>
#include <cstdint>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "experiments/cli/assignment_texts.hpp"
#include "experiments/cli/commands.hpp"
#include "experiments/cli/dry_run.hpp"
#include "experiments/cli/idle_notes.hpp"
#include "experiments/cli/run_arguments.hpp"
#include "experiments/cli/run_cells.hpp"
#include "experiments/config/experiment.hpp"
#include "experiments/run/job_choice.hpp"
#include "experiments/run/runner.hpp"
#include "framework/base/error.hpp"

namespace maskerade {
namespace {

int run(RunArguments arguments) {
  arguments.outputs.shard = arguments.choice.shard;
  RunOptions options;
  if (arguments.threads > 0) {
    Threads::check_count(arguments.threads, "--threads");
    options.threads = Threads(arguments.threads);
  }
  options.chunk_rows = arguments.chunk_rows;
  std::string problem;
  options.costs = find_costs(problem);
  if (!problem.empty()) {
    print_note(
        problem +
        "; kernels are chosen by the default cost model (\"maskerade calibrate\" replaces it)");
  }
  const Catalog catalog = find_maskers(arguments.plugins);
  const Experiment experiment = read_experiment(
      arguments.file, assignments_of(arguments.assignments), catalog, find_presets());
  check_pipelines(experiment);
  note_idle_pipelines(experiment);
  note_idle_overrides(experiment);
  const std::vector<Job> jobs = choose_jobs(experiment, make_jobs(experiment), arguments.choice);
  if (arguments.dry_run) return print_cells(experiment, jobs, options);
  return run_cells(experiment, catalog, jobs, options, arguments);
}

}  // namespace

void add_run_command(CLI::App& program, Command& command) {
  const auto arguments = std::make_shared<RunArguments>();
  CLI::App* run_command =
      program.add_subcommand("run", "Run an experiment file and print its table");
  run_command->add_option("FILE", arguments->file, "The experiment (YAML)")->required();
  run_command
      ->add_option("--out", arguments->outputs.folder,
                   "Write the results to DIR/results.sqlite; DIR is created when it is missing")
      ->type_name("DIR")
      ->check(path_is_not_empty());
  run_command->add_flag(
      "--resume", arguments->outputs.resumes,
      "Keep the cells, ok or failed, that --out holds from an earlier run, and run the rest; "
      "several processes that do so at once share the cells");
  run_command->add_flag("--retry-failed", arguments->outputs.retries_failed,
                        "Like --resume, but run again the cells that failed");
  run_command
      ->add_option("--only", arguments->choice.pipelines,
                   "Run only pipelines of this name, in which * stands for any text, and the dense "
                   "references beside them; may be repeated")
      ->type_name("PATTERN")
      ->allow_extra_args(false)
      ->take_all();
  run_command
      ->add_option("--cell", arguments->choice.cells,
                   "Run only the cell of this number (--dry-run lists them); may be repeated")
      ->type_name("N")
      ->allow_extra_args(false)
      ->take_all();
  run_command
      ->add_option_function<std::string>(
          "--shard",
          [arguments](const std::string& text) { arguments->choice.shard = parse_shard(text); },
          "Run only part I of N equal parts of the cells, from 1, and keep them in "
          "DIR/results.I.sqlite: for jobs on several machines")
      ->type_name("I/N");
  add_export_options(*run_command, arguments->outputs.exports);
  run_command->add_flag("--dry-run", arguments->dry_run,
                        "Check the experiment and its data, and list the cells; measure nothing");
  run_command->add_flag(
      "--no-peaks", arguments->no_peaks,
      "Do not measure the machine's peak arithmetic and bandwidth first: cells have "
      "no attainable_ms, except on cuda if the device was measured before");
  run_command->add_flag(
      "--quiet", arguments->quiet,
      "Print no tables and no progress: only the last lines, failures and errors");
  run_command->add_flag("--strict", arguments->strict,
                        "A cell whose times are not known as well as measure.target asks is an "
                        "error (exit code 1)");
  run_command
      ->add_option("--threads", arguments->threads,
                   "Number of worker threads, at most 8 for each processor [1 for each]")
      ->type_name("N")
      ->check(CLI::Range(1, std::numeric_limits<int>::max()).description(""));
  run_command
      ->add_option(
          "--set", arguments->assignments,
          "Replace or add a value of the experiment, such as measure.budget=500ms; may be repeated")
      ->type_name("KEY=VALUE")
      ->allow_extra_args(false)
      ->take_all();
  add_plugin_option(*run_command, arguments->plugins);
  run_command
      ->add_option("--chunk-rows", arguments->chunk_rows,
                   "Query rows to select at once [1024]; changes memory and time, but no result")
      ->type_name("N")
      ->check(CLI::Range(std::int64_t{1}, std::int64_t{1} << 40).description(""));
  run_command->footer(
      "Example: maskerade run experiments/quickstart.yaml --out results/quickstart --csv "
      "cells.csv");
  run_command->callback(
      [arguments, &command] { command = [arguments] { return run(*arguments); }; });
}

}  // namespace maskerade
