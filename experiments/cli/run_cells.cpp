#include "experiments/cli/run_cells.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <system_error>
#include <utility>

#include "experiments/cli/commands.hpp"
#include "experiments/cli/find_roofs.hpp"
#include "experiments/cli/stop_signals.hpp"
#include "experiments/report/progress.hpp"
#include "experiments/report/resume_notes.hpp"
#include "experiments/report/run_report.hpp"
#include "experiments/report/terminal.hpp"
#include "experiments/results/result_reader.hpp"
#include "experiments/run/describe_run.hpp"
#include "experiments/run/run_peaks.hpp"
#include "experiments/worker/worker_host.hpp"
#include "framework/base/stopwatch.hpp"
#include "framework/base/text.hpp"

namespace maskerade {
namespace {

// What a worker needs to run cells of the experiment as this process would.
WorkerSetup worker_setup(const Experiment& experiment,
                         const Catalog& catalog,
                         const RunOptions& options) {
  return {.file = experiment.file.string(),
          .text = experiment.text,
          .assignments = experiment.assignments,
          .libraries = inherited_libraries(catalog),
          .threads = options.threads.count(),
          .chunk_rows = options.chunk_rows};
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

// The cells of the experiment that this run does not have, each beside this run's cell of its
// names, as a text for the user; "" for none.
std::string older_cells_note(const ResultStore& store, const std::string& experiment) {
  const std::vector<CellResult> cells =
      ResultReader(store.file())
          .cells({.conditions = {{"experiment", storable(experiment)}}, .with_parts = false});
  return older_cells_text(older_cells_among(cells));
}

// Lets go of what no table shows. Rationale: a cell may have many thousand heads, steps and
// samples. Assigning {} would keep their memory.
void forget_parts(CellResult& result) {
  result.heads = std::vector<HeadResult>();
  result.steps = std::vector<StepResult>();
  result.samples = std::vector<StageSeries>();
  if (result.fidelity) result.fidelity->heads = std::vector<HeadFidelity>();
}

// One run: what it does while its jobs begin and end, and what it says in the end.
class CellsRun {
 public:
  CellsRun(const Experiment& experiment,
           std::size_t jobs,
           const RunOptions& options,
           const RunArguments& arguments,
           RunOutputs& outputs)
      : experiment_(experiment),
        jobs_(jobs),
        arguments_(arguments),
        outputs_(outputs),
        progress_(stderr, isatty(STDERR_FILENO) != 0 && !arguments.quiet, jobs),
        report_(terminal_style(stdout)),
        peaks_(options.peaks, options.threads) {}

  RunListener listener() {
    RunListener listener;
    listener.on_begin = [this](const Job& job, const CellResult& begun) {
      const std::pair next(job.cell.workload, job.cell.check);
      if (block_of_ != next) print_block();
      block_of_ = next;
      if (!arguments_.quiet) progress_.begin(begun);
    };
    listener.on_finish = [this](const Job&, CellResult& finished) {
      peaks_.apply(finished);
      outputs_.write(finished);
      if (!arguments_.quiet) progress_.finish(finished);
      forget_parts(finished);
      block_.push_back(std::move(finished));
    };
    listener.on_keep = [this](const Job&, const CellResult& kept) {
      outputs_.keep(kept);
      if (!arguments_.quiet) progress_.keep(kept);
      block_.push_back(kept);
    };
    listener.on_taken = [this](const Job&, const CellResult&) { progress_.skip(); };
    if (outputs_.store()) {
      listener.claim = [this](const Job&, const CellResult& described) {
        return outputs_.claim(described);
      };
      listener.on_abandon = [this](const Job&, const CellResult& begun) {
        outputs_.abandon(begun);
      };
    }
    return listener;
  }

  // Prints the cells that were finished and not printed yet.
  void print_block() {
    if (block_.empty()) return;
    progress_.clear();
    const std::vector<CellResult> printed = std::exchange(block_, {});
    if (arguments_.quiet) return report_.add(printed);
    fmt::print("{}", report_.block(printed));
    std::fflush(stdout);
  }

  // Says how the run went, and returns the exit code.
  int end(const RunOutcome& outcome) {
    print_block();
    progress_.clear();
    const OutcomeCounts& counts = report_.counts();
    fmt::print("{}{}", arguments_.quiet ? "" : report_.legend(),
               report_.end({.not_run = jobs_ - counts.cells(),
                            .seconds = stopwatch_.elapsed_ms() / 1000,
                            .is_strict = arguments_.strict,
                            .command = cell_command(arguments_)}));
    if (outputs_.store()) end_outputs(outcome);
    for (const std::string& problem : outcome.bad_inputs) print_error(on_one_line(problem));
    if (outcome.was_stopped) {
      print_note(interrupted_text(counts.cells(), jobs_, outputs_.store().has_value()));
      return kExitInterrupted;
    }
    if (!outcome.bad_inputs.empty()) return kExitBadInput;
    const bool is_too_noisy = arguments_.strict && counts.noisy() > 0;
    return counts.of(CellOutcome::kFailed) > 0 || is_too_noisy ? kExitFailed : kExitOk;
  }

 private:
  void end_outputs(const RunOutcome& outcome) {
    const ResultStore& store = *outputs_.store();
    fmt::print("results in {}{}\n", printable(store.file().string()),
               outcome.kept > 0 ? fmt::format("; {} kept from an earlier run", outcome.kept) : "");
    if (outcome.taken > 0) {
      print_note(fmt::format("{} cell{} left to other processes, which {} at them", outcome.taken,
                             outcome.taken == 1 ? " was" : "s were",
                             outcome.taken == 1 ? "is" : "are"));
    }
    if (!arguments_.choice.is_whole() || outcome.was_stopped || outputs_.finish() == 0) return;
    print_note(older_cells_note(store, experiment_.name));
  }

  const Experiment& experiment_;
  std::size_t jobs_;
  const RunArguments& arguments_;
  RunOutputs& outputs_;
  Progress progress_;
  RunReport report_;
  RunPeaks peaks_;
  Stopwatch stopwatch_;
  std::vector<CellResult> block_;  // finished cells of one workload and check, not printed yet
  std::pair<std::size_t, std::size_t> block_of_;  // their workload and check
};

// While it lives, a masker that ends the process by calling exit() does not give the program's exit
// code. Rationale: half a run must not look like a whole one.
class ExitGuard {
 public:
  ExitGuard() {
    static const int kRegistered = std::atexit([] {
      if (!is_running) return;
      print_error(
          "a masker or a library called exit(); the cell in flight is lost, --resume runs "
          "it in a process of its own");
      _exit(kExitInternal);
    });
    static_cast<void>(kRegistered);
    is_running = true;
  }
  ~ExitGuard() { is_running = false; }
  ExitGuard(const ExitGuard&) = delete;
  ExitGuard& operator=(const ExitGuard&) = delete;

 private:
  static inline std::atomic<bool> is_running = false;
};

}  // namespace

int run_cells(const Experiment& experiment,
              const Catalog& catalog,
              const std::vector<Job>& jobs,
              RunOptions options,
              const RunArguments& arguments) {
  RunRecord record = describe_run(experiment, options);
  record.cell_command = cell_command(arguments);
  RunOutputs outputs(arguments.outputs, files_read_by(experiment), record);
  if (!arguments.no_peaks) options.peaks = find_peaks(options.threads);
  options.roofs = find_roofs(experiment, !arguments.no_peaks);
  options.is_stopped = is_stop_requested;
  const RunHosts hosts{
      .local = make_local_host(experiment, options),
      .worker = make_worker_host(experiment, worker_setup(experiment, catalog, options),
                                 options.is_stopped)};
  CellsRun run(experiment, jobs.size(), options, arguments, outputs);
  stop_on_signals();
  RunOutcome outcome;
  try {
    const ExitGuard guard;
    outcome = run_jobs(experiment, jobs, options, hosts, run.listener());
  } catch (...) {
    // What is left to print; the exception is what to tell about.
    try {
      run.print_block();
    } catch (const std::system_error&) {
    }
    throw;
  }
  return run.end(outcome);
}

}  // namespace maskerade
