#pragma once

#include "experiments/config/experiment.hpp"
#include "experiments/run/run_cell.hpp"
#include "experiments/worker/message_channel.hpp"

namespace maskerade {

// Answers requests for cells of an experiment, one after the other, until the other end of the
// channel is closed.
void serve_cells(const Experiment& experiment, const RunOptions& options, MessageChannel& channel);

}  // namespace maskerade
