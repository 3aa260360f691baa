#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "experiments/config/experiment.hpp"
#include "experiments/results/cell_result.hpp"
#include "experiments/run/cell_host.hpp"
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

// What a run is to do with a job that it comes to; see ResultStore::claim.
struct JobClaim {
  std::optional<std::int64_t> run = {};  // the number that results of this run have
  std::optional<CellResult> finished = {};
  bool is_taken = false;
  bool has_died = false;
};

// The functions by which a runner tells its caller how the run goes. Each may be empty.
struct RunListener {
  // Called before a job. The result holds what is known by then: names and parameters.
  std::function<void(const Job& job, const CellResult& begun)> on_begin;
  // The result may be changed before it is written anywhere.
  std::function<void(const Job& job, CellResult& finished)> on_finish;
  // Asked after on_begin whether the job is to be run. `described` is all that is known of its
  // result before. Results have keys only when this function is given.
  std::function<JobClaim(const Job& job, const CellResult& described)> claim;
  // Called in place of on_finish for a job whose earlier result was found; the result has the
  // number of this run's job.
  std::function<void(const Job& job, const CellResult& kept)> on_keep;
  // Called in place of on_finish for a job that another process is at.
  std::function<void(const Job& job, const CellResult& begun)> on_taken;
  // Called in place of on_finish for the job that was in flight when the run was stopped.
  std::function<void(const Job& job, const CellResult& begun)> on_abandon;
};

// How a run went.
struct RunOutcome {
  std::size_t ok = 0;
  std::size_t failed = 0;
  std::size_t unavailable = 0;
  std::size_t kept = 0;   // of all these, the jobs whose earlier result was found
  std::size_t taken = 0;  // jobs that other processes are at
  std::vector<std::string>
      bad_inputs;  // what is wrong with workloads and overrides, see run_experiment
  bool was_stopped = false;
};

// Where the cells of an experiment are run.
struct RunHosts {
  std::unique_ptr<CellHost> local;   // in this process; not null
  std::unique_ptr<CellHost> worker;  // in another one; null where no cell can be isolated
};

// Whether a job runs in a worker, by the experiment's isolation, where there is one.
bool is_isolated(const Experiment& experiment, const Job& job);

// Runs jobs, in their order. One that fails is recorded with its reason, and the rest goes on; the
// jobs of a workload that cannot be loaded, or that an override does not fit, all fail. A job that
// was begun by a run that died runs in the worker if there is one, wherever else it would. Throws
// what the listener throws, and DataError, before the first job, when a library or a file that a
// parameter names cannot be read.
RunOutcome run_jobs(const Experiment& experiment,
                    const std::vector<Job>& jobs,
                    const RunOptions& options,
                    const RunHosts& hosts,
                    const RunListener& listener);

// The same for every job of the experiment, in this process.
RunOutcome run_experiment(const Experiment& experiment,
                          const RunOptions& options,
                          const RunListener& listener);

// The names, parameters and constants of a job's result, before it is run.
CellResult describe_job(const Experiment& experiment, const Job& job, const RunOptions& options);

}  // namespace maskerade
