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

// One row to be: a cell of the grid, or the dense reference of a workload on a device.
struct Job {
  Cell cell;  // number: of the job, from 0; pipeline and mask_seed mean nothing for the reference
  bool is_dense_reference = false;
};

bool is_on_cuda(const Job& job);

// The grid's cells in order; before the first one of each (workload, check, device), the dense
// reference.
std::vector<Job> make_jobs(const Experiment& experiment);

// Throws ConfigError at the position of the first pipeline that has the name of the dense
// reference, or that is matched by total_ms on a decode trace.
void check_pipelines(const Experiment& experiment);

// What a runner tells while it runs. Any may be empty.
struct RunListener {
  // Before a job; the result holds what is known by then: names and parameters.
  std::function<void(const Job& job, const CellResult& begun)> on_begin;
  std::function<void(const Job& job, const CellResult& finished)> on_finish;
  // Asked before each job: whether to stop.
  std::function<bool()> is_stopped;
  // Asked before a job is run, after on_begin: its finished result of an earlier run, which then
  // stands for it. Results have keys only when this is given.
  std::function<std::optional<CellResult>(const std::string& key)> find_finished;
  // In the place of on_finish, for a job that was found; the result has the job's number.
  std::function<void(const Job& job, const CellResult& kept)> on_keep;
};

// How a run went.
struct RunOutcome {
  std::size_t ok = 0;
  std::size_t failed = 0;
  std::size_t unavailable = 0;
  std::size_t kept = 0;  // of these, how many were found and not run
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
