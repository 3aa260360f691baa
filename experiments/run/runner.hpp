#pragma once

#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "experiments/config/experiment.hpp"
#include "experiments/results/cell_result.hpp"
#include "experiments/run/run_cell.hpp"

namespace maskerade {

// A row of results that is still to be measured: a cell of the grid, or the dense reference of a
// workload on a device.
struct Job {
  Cell cell;  // its number is the job's, from 0; the reference has no pipeline and no mask_seed
  bool is_dense_reference = false;
};

bool is_on_cuda(const Job& job);

// The grid's cells in order; before the first one of each (workload, check, device), the dense
// reference.
std::vector<Job> make_jobs(const Experiment& experiment);

// Checks what the reader of the experiment cannot know. Throws ConfigError at the position of the
// first pipeline that has the name of the dense reference, or that is matched by total_ms on a
// decode trace.
void check_pipelines(const Experiment& experiment);

// The functions by which a runner tells its caller how the run goes. Each may be empty.
struct RunListener {
  // Called before a job. The result holds what is known by then: names and parameters.
  std::function<void(const Job& job, const CellResult& begun)> on_begin;
  std::function<void(const Job& job, const CellResult& finished)> on_finish;
  // Asked before each job: whether the run should stop.
  std::function<bool()> is_stopped;
  // Asked after on_begin for the result of this job in an earlier run, which then takes the place
  // of running it. Results have keys only when this function is given.
  std::function<std::optional<CellResult>(const std::string& key)> find_finished;
  // Called in place of on_finish for a job whose earlier result was found; the result has the
  // number of this run's job.
  std::function<void(const Job& job, const CellResult& kept)> on_keep;
};

// How a run went.
struct RunOutcome {
  std::size_t ok = 0;
  std::size_t failed = 0;
  std::size_t unavailable = 0;
  std::size_t kept = 0;  // of all these, the jobs whose earlier result was found
  std::vector<std::string>
      bad_inputs;  // what is wrong with workloads and overrides, see run_experiment
  bool was_stopped = false;
};

// Runs every job. One that fails is recorded with its reason, and the rest goes on; the jobs of a
// workload that cannot be loaded, or that an override does not fit, all fail. Throws what the
// listener throws, and DataError, before the first job, when a library or a file that a parameter
// names cannot be read.
RunOutcome run_experiment(const Experiment& experiment,
                          const RunOptions& options,
                          const RunListener& listener);

// The names, parameters and constants of a job's result, before it is run.
CellResult describe_job(const Experiment& experiment, const Job& job, const RunOptions& options);

}  // namespace maskerade
