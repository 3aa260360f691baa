#pragma once

#include <memory>
#include <optional>
#include <string>

#include "experiments/config/experiment.hpp"
#include "experiments/results/cell_result.hpp"
#include "experiments/run/run_cell.hpp"
#include "experiments/run/workload_description.hpp"

namespace maskerade {

struct Job;

// What opening a workload gave: its description, or why it cannot be loaded.
struct OpenedWorkload {
  std::optional<WorkloadDescription> description;
  std::string failure;        // "" where there is a description
  bool is_bad_input = false;  // whether the experiment or a file is to blame for the failure
};

// Where cells are run: this process or another one. It has the data of one workload at a time.
class CellHost {
 public:
  virtual ~CellHost() = default;
  // Makes the job's workload the current one. The result is good until the next call.
  virtual const OpenedWorkload& open(const Job& job) = 0;
  // Makes the dense reference of the job's device and check, so that run() finds it made, for a job
  // whose workload was opened. A failure is that of run().
  virtual void prepare_reference(const Job& job) = 0;
  // Runs a job whose workload was opened, without a failure, just before. Fills the result, which
  // has been described. Whatever goes wrong is a failure of the result. Throws RunStopped.
  virtual void run(const Job& job, CellResult& result) = 0;
};

// Runs cells in this process. The experiment and the options outlive it.
std::unique_ptr<CellHost> make_local_host(const Experiment& experiment, const RunOptions& options);

}  // namespace maskerade
