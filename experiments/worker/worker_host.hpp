#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "experiments/config/experiment.hpp"
#include "experiments/run/cell_host.hpp"
#include "experiments/worker/worker_messages.hpp"

namespace maskerade {

// Runs cells in a worker: this program, executed anew with the subcommand `worker`. The worker is
// started when the first workload is opened, holds the data of one workload, and is replaced when
// another one is opened and after every cell that failed, so that nothing of a failure reaches
// another cell. A cell whose worker ends, runs longer than measure.cell_timeout, or takes more
// memory than measure.cell_memory beyond that of its data and dense reference fails, with the
// signal or exit status and the masker that was at work; the worker is ended then. is_stopped is
// asked ten times a second. The experiment outlives the host. setup: of which the libraries'
// descriptors stay open; its call_record is set here.
std::unique_ptr<CellHost> make_worker_host(const Experiment& experiment,
                                           WorkerSetup setup,
                                           std::function<bool()> is_stopped);

}  // namespace maskerade
