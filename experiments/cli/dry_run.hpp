#pragma once

#include <vector>

#include "experiments/config/experiment.hpp"
#include "experiments/run/runner.hpp"

namespace maskerade {

// Does --dry-run: loads every workload of the jobs, prints it and its cells, and how long they will
// take. Throws ConfigError, DataError or ShapeError where a cell cannot run. Returns the exit code.
int print_cells(const Experiment& experiment,
                const std::vector<Job>& jobs,
                const RunOptions& options);

}  // namespace maskerade
