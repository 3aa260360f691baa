#pragma once

#include "experiments/run/current_workload.hpp"
#include "experiments/run/runner.hpp"
#include "framework/pipeline/pipeline.hpp"

namespace maskerade {

// Measures one job on the current workload, which is the job's: a cell or a decode trace, on the
// job's device, after the search of a match and before the check of a stated guarantee. `pipeline`
// is the job's with its routes. Fills the result; what throws makes it failed with its text.
void run_job(const Experiment& experiment,
             const Job& job,
             const Pipeline& pipeline,
             const RunOptions& options,
             CurrentWorkload& current,
             CellResult& result);

}  // namespace maskerade
