#pragma once

#include "experiments/run/current_workload.hpp"
#include "experiments/run/runner.hpp"
#include "framework/pipeline/pipeline.hpp"

namespace maskerade {

// Runs one job on its device: searches the parameter of a match, measures a cell or a decode trace,
// and checks a stated guarantee. `current` holds the job's workload, loaded; `pipeline` is the
// job's, with its routes. Fills the result. What throws makes it failed, or unavailable where the
// device cannot do it, with the error's text; but RunStopped is thrown on.
void run_job(const Experiment& experiment,
             const Job& job,
             const Pipeline& pipeline,
             const RunOptions& options,
             CurrentWorkload& current,
             CellResult& result);

// The mask that a job selects, that of the last step of a decode trace; every visible key for the
// dense reference. Searches the parameter of a match first, and fills result.match. Throws what a
// stage throws.
Mask select_job(const Experiment& experiment,
                const Job& job,
                const Pipeline& pipeline,
                const RunOptions& options,
                CurrentWorkload& current,
                CellResult& result);

}  // namespace maskerade
