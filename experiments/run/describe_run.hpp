#pragma once

#include "experiments/config/experiment.hpp"
#include "experiments/results/run_record.hpp"
#include "experiments/run/run_cell.hpp"

namespace maskerade {

// All that is known of a run when it begins, but its number and its command.
RunRecord describe_run(const Experiment& experiment, const RunOptions& options);

}  // namespace maskerade
