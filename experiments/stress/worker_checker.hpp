// Cells of a stress test checked in a process of their own, which a masker may take down.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "experiments/stress/cell_checker.hpp"
#include "experiments/worker/message_channel.hpp"
#include "experiments/worker/worker_process.hpp"
#include "framework/plugin/catalog.hpp"

namespace maskerade::stress {

// Checks cells in a worker: this program, executed anew with the subcommand `worker`. A worker that
// ends, runs longer than the time of a cell or takes too much memory breaks kSurvives, by the
// masker that was at work, else by the cell's last one; the next cell gets a new worker.
class WorkerChecker final : public CellChecker {
 public:
  // setup: with the duty to check cells and all libraries that cells name; their descriptors stay
  // open as long as this lives. limits: of one cell, or one invariant of it. is_stopped is asked
  // ten times a second.
  WorkerChecker(WorkerSetup setup, WorkerLimits limits, std::function<bool()> is_stopped);

  // Both throw RunStopped when is_stopped says so, and Error when no worker can be started.
  CellOutcome check(const StressCell& cell) override;
  std::optional<rules::Violations> check(Invariant invariant, const StressCell& cell) override;

 private:
  std::variant<WorkerProcess::Answer, WorkerProcess::Ending> ask(const std::string& request);

  WorkerSetup setup_;
  WorkerLimits limits_;
  std::function<bool()> is_stopped_;
  std::unique_ptr<WorkerProcess> worker_;
};

// Serves a WorkerChecker at the other end of the channel until that closes it.
void serve_checks(const Catalog& catalog, const Catalog& references, MessageChannel& channel);

}  // namespace maskerade::stress
