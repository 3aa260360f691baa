#pragma once

#include "experiments/config/experiment.hpp"
#include "experiments/results/cell_result.hpp"
#include "experiments/run/run_cell.hpp"

namespace maskerade {

// Says in a result, before its cell is run, what follows from the device and the facts of the
// workload: the device's name, the peaks that its kernels are measured by, and the tolerance of
// their arithmetic unless the experiment states one. Without a device, what is true of none.
void describe_device(const CheckSpec& check, const RunOptions& options, CellResult& result);

}  // namespace maskerade
