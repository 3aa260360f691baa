#pragma once

#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "attention/backend_table.hpp"
#include "experiments/config/experiment.hpp"
#include "experiments/data/workload.hpp"
#include "experiments/run/cell_host.hpp"
#include "experiments/run/decode_trace.hpp"
#include "experiments/run/dense_reference.hpp"
#include "experiments/run/run_cell.hpp"

namespace maskerade {

// Runs body; an exception becomes its text, but RunStopped is thrown on. Nothing that a cell does
// may end the run.
std::optional<std::string> failure_of(const std::function<void()>& body);

// The data of consecutive jobs: loaded when the workload changes. Each device that the jobs ask for
// has a backend that holds the data, and the dense reference of the latest check on it.
class CurrentWorkload {
 public:
  CurrentWorkload(const Experiment& experiment, const RunOptions& options)
      : experiment_(experiment), options_(options) {}

  // Makes the job's workload the current one.
  const OpenedWorkload& load(const Cell& cell);
  // Forgets the data when something has written to it, so that the next load() makes it anew.
  void forget_if_changed();

  // Requires a workload that was loaded.
  const Workload& workload() const noexcept { return *workload_; }

  // The rest requires that, too, and throws what opening a backend and attending throw.

  // The device's backend, showing the workload's inputs or, of a decode trace, some of its steps.
  Backend& backend(const std::string& device);
  const DenseReference& reference(const std::string& device, std::size_t check);
  const TraceReference& trace_reference(const std::string& device, std::size_t check);

 private:
  // What is there on one device. References are destroyed before the backend.
  struct OnDevice {
    std::unique_ptr<Backend> backend;
    std::optional<std::size_t> check;  // that the references are for
    std::unique_ptr<DenseReference> reference;
    std::unique_ptr<TraceReference> trace;
  };
  void forget();
  OnDevice& on_device(const std::string& device);
  // The same, with references of other checks forgotten.
  OnDevice& on_device(const std::string& device, std::size_t check);

  const Experiment& experiment_;
  const RunOptions& options_;
  std::optional<std::size_t> loaded_;
  OpenedWorkload opened_;
  std::unique_ptr<Workload> workload_;
  std::map<std::string, OnDevice> devices_;  // by name; after the data that they hold
};

}  // namespace maskerade
