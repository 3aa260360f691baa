#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <limits>
#include <map>
#include <memory>
#include <new>
#include <optional>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "experiments/cli/commands.hpp"
#include "experiments/cli/run_outputs.hpp"
#include "experiments/cli/stop_signals.hpp"
#include "experiments/config/experiment.hpp"
#include "experiments/data/workload.hpp"
#include "experiments/measure/cache_file.hpp"
#include "experiments/measure/device_roof_file.hpp"
#include "experiments/measure/machine_peaks.hpp"
#include "experiments/report/progress.hpp"
#include "experiments/report/resume_notes.hpp"
#include "experiments/report/run_report.hpp"
#include "experiments/report/terminal.hpp"
#include "experiments/run/describe_run.hpp"
#include "experiments/run/job_choice.hpp"
#include "experiments/run/routed_pipeline.hpp"
#include "experiments/run/run_peaks.hpp"
#include "experiments/run/runner.hpp"
#include "experiments/worker/worker_host.hpp"
#include "framework/base/error.hpp"
#include "framework/base/stopwatch.hpp"
#include "framework/base/text.hpp"
#include "framework/tensor/cuda/device.hpp"

namespace maskerade {
namespace {

struct RunArguments {
  std::string file;
  OutputPaths outputs;
  bool dry_run = false;   // list the cells, measure nothing
  bool no_peaks = false;  // do not measure the machine's peaks
  bool quiet = false;     // print what follows the tables alone
  bool strict = false;    // noisy cells are errors
  int threads = 0;        // 0: all processors
  std::int64_t chunk_rows = 1024;
  std::vector<std::string> assignments;  // of --set: KEY=VALUE
  std::vector<std::string> plugins;      // of --plugin: files
  JobChoice choice;
  std::string shard;  // of --shard, not read yet
};

std::vector<Assignment> assignments_of(const std::vector<std::string>& texts) {
  std::vector<Assignment> assignments;
  for (const std::string& text : texts) {
    const std::size_t equals = text.find('=');
    if (equals == std::string::npos || equals == 0) {
      throw ConfigError(
          {}, "--set " + text + ": give key=value, for example --set measure.budget=500ms");
    }
    assignments.push_back({text.substr(0, equals), text.substr(equals + 1)});
  }
  return assignments;
}

// Prints a note for each pipeline whose `only` excludes every workload.
void note_idle_pipelines(const Experiment& experiment) {
  for (const PipelineSpec& pipeline : experiment.pipelines) {
    if (std::any_of(experiment.workloads.begin(), experiment.workloads.end(),
                    [&](const WorkloadSpec& workload) { return runs_on(pipeline, workload); })) {
      continue;
    }
    const char* kind = *pipeline.only == WorkloadKind::kDecode ? "decode" : "prefill";
    print_note(fmt::format("pipeline \"{0}\" is for {1} only and no workload is {1}: it is not run",
                           pipeline.label, kind));
  }
}

// Prints a note for each override that applies to no workload. An override of the whole file, which
// every pipeline has, gets one note only.
void note_idle_overrides(const Experiment& experiment) {
  struct RuleUse {
    const RouteRule* rule = nullptr;
    bool may_apply = false;  // to some workload
  };
  std::map<std::string, RuleUse> uses;  // by the rule's position in the text
  for (const PipelineSpec& pipeline : experiment.pipelines) {
    for (const WorkloadSpec& workload : experiment.workloads) {
      if (!runs_on(pipeline, workload)) continue;
      for (const RouteRule& rule : pipeline.overrides) {
        RuleUse& use = uses[rule.position.to_string()];
        use.rule = &rule;
        use.may_apply = use.may_apply || may_hold(rule, workload);
      }
    }
  }
  for (const auto& [position, use] : uses) {
    if (use.may_apply) continue;
    // Only a rule that names layers can apply to no workload.
    print_note(fmt::format("{}: the override of layers {} applies to no workload: it is not used",
                           position, fmt::join(*use.rule->layers, ", ")));
  }
}

// Does --dry-run: loads every workload and prints it and its cells. Throws ConfigError, DataError
// or ShapeError where a cell cannot run. Returns the exit code.
int print_cells(const Experiment& experiment,
                const std::vector<Job>& jobs,
                const RunOptions& options) {
  std::optional<std::size_t> workload;
  Workload loaded;
  WorkloadDescription description;
  for (const Job& job : jobs) {
    if (workload != job.cell.workload) {
      workload = job.cell.workload;
      loaded = load_workload(experiment.workloads[*workload]);
      description = describe_workload(loaded);
      const bool is_trace = loaded.decode_steps > 0;
      fmt::print("{}: {}{} {}, {}, {}\n", printable(experiment.workloads[*workload].label),
                 (is_trace ? loaded.prompt_shape() : loaded.shape).to_string(),
                 is_trace ? fmt::format(" and {} decode steps,", loaded.decode_steps) : "",
                 name_of(loaded.dtype), loaded.causal ? "causal" : "not causal",
                 printable(loaded.source));
    }
    // Throws where the job's pipeline does not fit the loaded data.
    const Pipeline routed = pipeline_of(experiment, job, &description);
    const CellResult described = describe_job(experiment, job, options);
    fmt::print("  {:>4}  {:<40} {:<5} {:<6}{}\n", described.cell, printable(described.pipeline),
               described.device, described.kernel,
               depends_on_seed(experiment.pipelines[job.cell.pipeline],
                               experiment.workloads[job.cell.workload]) &&
                       described.mask_seed
                   ? fmt::format(" seed {}", *described.mask_seed)
                   : "");
  }
  fmt::print("{} cells; shapes are (batch, query_heads, kv_heads, query_len, key_len, head_dim)\n",
             jobs.size());
  return kExitOk;
}

// Measures the machine's peaks. Prints a note and returns nullopt where there is too little memory
// for that.
std::optional<MachinePeaks> find_peaks(const Threads& threads) {
  try {
    return measure_peaks(threads);
  } catch (const std::bad_alloc&) {
    print_note("not enough memory to measure the read bandwidth: results have no attainable_ms");
    return std::nullopt;
  }
}

// Returns the roofs of the CUDA device that an earlier run saved. If there are none and `measures`
// is set, measures and saves them. nullopt: they are not known, or no cell runs on cuda, or there
// is no device. Prints a note where a saved file cannot be used, and where measuring or saving
// fails.
std::optional<DeviceRoofs> find_roofs(const Experiment& experiment, bool measures) {
  const auto& devices = experiment.devices;
  if (std::find(devices.begin(), devices.end(), "cuda") == devices.end() ||
      !cuda_device().is_available) {
    return std::nullopt;
  }
  const DeviceRoofFile file(cache_folder(), cuda_device().name);
  std::string problem;
  std::optional<DeviceRoofs> roofs = file.load(problem);
  if (!problem.empty()) print_note(problem + "; \"maskerade calibrate\" replaces it");
  if (roofs || !measures) return roofs;
  try {
    roofs = measure_device_roofs();
  } catch (const Error& error) {
    print_note(std::string("cells on cuda have no attainable_ms: ") + error.what());
    return std::nullopt;
  }
  try {
    file.save(*roofs);
  } catch (const ConfigError& error) {
    print_note(std::string("the device's roofs were measured, but could not be saved: ") +
               error.what());
  }
  return roofs;
}

// What a worker needs to run cells of the experiment as this process would.
WorkerSetup worker_setup(const Experiment& experiment,
                         const Catalog& catalog,
                         const RunOptions& options) {
  WorkerSetup setup{.file = experiment.file.string(),
                    .text = experiment.text,
                    .assignments = experiment.assignments,
                    .libraries = {},
                    .threads = options.threads.count(),
                    .chunk_rows = options.chunk_rows};
  for (const LibraryCopy& copy : catalog.copies()) {
    setup.libraries.push_back({copy.library.string(), copy.sha256, copy.descriptor});
  }
  return setup;
}

// The command that runs one cell of this run alone, up to the cell's number.
std::string cell_command(const RunArguments& arguments) {
  std::vector<std::string> words = {"maskerade", "run", arguments.file};
  for (const std::string& assignment : arguments.assignments) {
    words.insert(words.end(), {"--set", assignment});
  }
  for (const std::string& plugin : arguments.plugins) {
    words.insert(words.end(), {"--plugin", plugin});
  }
  if (arguments.threads > 0) {
    words.insert(words.end(), {"--threads", std::to_string(arguments.threads)});
  }
  words.emplace_back("--cell");
  return command_text(words);
}

// Runs jobs of the experiment: prints tables and progress, and writes the outputs. Measures the
// peaks of the machine, and of the device if they are not known yet, unless told not to. sees_all:
// whether these are all jobs whose results the outputs are to have. Returns the exit code.
int run_cells(const Experiment& experiment,
              const Catalog& catalog,
              const std::vector<Job>& jobs,
              bool sees_all,
              RunOptions options,
              const RunArguments& arguments) {
  const bool wants_peaks = !arguments.no_peaks;
  RunOutputs outputs(arguments.outputs, files_read_by(experiment),
                     describe_run(experiment, options));
  if (wants_peaks) options.peaks = find_peaks(options.threads);
  options.roofs = find_roofs(experiment, wants_peaks);
  const bool has_line = isatty(STDERR_FILENO) != 0 && !arguments.quiet;
  Progress progress(stderr, has_line, jobs.size());
  std::vector<CellResult> block;  // finished cells of one workload and check, not printed yet
  std::pair<std::size_t, std::size_t> block_of;  // their workload and check
  RunReport report(terminal_style(stdout));
  const auto print_block = [&] {
    if (block.empty()) return;
    progress.clear();
    const std::vector<CellResult> printed = std::exchange(block, {});
    if (arguments.quiet) return report.add(printed);
    fmt::print("{}", report.block(printed));
    std::fflush(stdout);
  };
  // What is left to print when the run ends by an exception, which is the one to tell about.
  const auto print_finished = [&] {
    try {
      print_block();
    } catch (const std::system_error&) {
    }
  };
  stop_on_signals();
  options.is_stopped = is_stop_requested;
  const Stopwatch stopwatch;
  RunListener listener;
  listener.on_begin = [&](const Job& job, const CellResult& begun) {
    const std::pair next(job.cell.workload, job.cell.check);
    if (block_of != next) print_block();
    block_of = next;
    if (!arguments.quiet) progress.begin(begun);
  };
  // Rationale: tables show no heads and steps, and there may be many thousand in a cell.
  const auto show_later = [&](const CellResult& result) {
    CellResult shown = result;
    shown.heads = {};
    shown.steps = {};
    block.push_back(std::move(shown));
  };
  RunPeaks peaks(options.peaks, options.threads);
  listener.on_finish = [&](const Job&, CellResult& finished) {
    peaks.apply(finished);
    outputs.write(finished);
    if (!arguments.quiet) progress.finish(finished);
    show_later(finished);
  };
  if (outputs.store()) {
    listener.claim = [&](const Job&, const CellResult& described) {
      return outputs.claim(described);
    };
  }
  listener.on_keep = [&](const Job&, const CellResult& kept) {
    outputs.keep(kept);
    if (!arguments.quiet) progress.keep(kept);
    show_later(kept);
  };
  listener.on_taken = [&](const Job&, const CellResult&) { progress.skip(); };
  listener.on_abandon = [&](const Job&, const CellResult& begun) { outputs.abandon(begun); };
  const RunHosts hosts{
      .local = make_local_host(experiment, options),
      .worker = make_worker_host(experiment, worker_setup(experiment, catalog, options),
                                 options.is_stopped)};
  RunOutcome outcome;
  try {
    outcome = run_jobs(experiment, jobs, options, hosts, listener);
  } catch (...) {
    print_finished();
    throw;
  }
  print_block();
  progress.clear();
  fmt::print("{}{}", arguments.quiet ? "" : report.legend(),
             report.end({.not_run = jobs.size() - report.counts().cells(),
                         .seconds = stopwatch.elapsed_ms() / 1000,
                         .is_strict = arguments.strict,
                         .command = cell_command(arguments)}));
  const std::int64_t others = outcome.was_stopped || !sees_all ? 0 : outputs.finish();
  if (outputs.store()) {
    fmt::print(
        "results in {}{}{}\n", printable(outputs.store()->file().string()),
        outcome.kept > 0 ? fmt::format("; {} kept from an earlier run", outcome.kept) : "",
        others > 0
            ? fmt::format("; {} of other versions of the experiment have no cell number", others)
            : "");
  }
  for (const std::string& problem : outcome.bad_inputs) print_error(on_one_line(problem));
  if (outcome.was_stopped) {
    print_note(interrupted_text(report.counts().cells(), jobs.size(), outputs.store().has_value()));
    return kExitInterrupted;
  }
  if (!outcome.bad_inputs.empty()) return kExitBadInput;
  const bool is_too_noisy = arguments.strict && report.counts().noisy() > 0;
  return report.counts().of(CellOutcome::kFailed) > 0 || is_too_noisy ? kExitFailed : kExitOk;
}

int run(const RunArguments& arguments) {
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
  RunArguments chosen = arguments;
  if (!chosen.shard.empty()) {
    chosen.choice.shard = parse_shard(chosen.shard);
    chosen.outputs.shard = chosen.choice.shard;
  }
  const std::vector<Job> jobs = choose_jobs(experiment, make_jobs(experiment), chosen.choice);
  if (chosen.dry_run) return print_cells(experiment, jobs, options);
  const bool sees_all = chosen.choice.pipelines.empty() && chosen.choice.cells.empty();
  return run_cells(experiment, catalog, jobs, sees_all, options, chosen);
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
      ->add_option("--shard", arguments->shard,
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
