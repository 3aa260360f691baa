#pragma once

#include <vector>

#include "experiments/cli/run_arguments.hpp"
#include "experiments/config/experiment.hpp"
#include "experiments/run/runner.hpp"
#include "framework/plugin/catalog.hpp"

namespace maskerade {

// Runs jobs of the experiment: prints tables and progress, and writes the outputs. Measures the
// peaks of the machine, and of the device if they are not known yet, unless told not to. catalog:
// of which the experiment was made. Returns the exit code.
int run_cells(const Experiment& experiment,
              const Catalog& catalog,
              const std::vector<Job>& jobs,
              RunOptions options,
              const RunArguments& arguments);

}  // namespace maskerade
