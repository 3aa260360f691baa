#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "experiments/config/experiment.hpp"
#include "experiments/data/workload.hpp"
#include "experiments/run/cuda_cell.hpp"
#include "experiments/run/decode_trace.hpp"
#include "experiments/run/dense_reference.hpp"
#include "experiments/run/run_cell.hpp"

namespace maskerade {

// Runs body; an exception becomes its text. Nothing that a cell does may end the run.
std::optional<std::string> failure_of(const std::function<void()>& body);

// The data of consecutive jobs: loaded when the workload changes, the dense reference made when the
// workload, the check or the device does.
class CurrentWorkload {
 public:
  CurrentWorkload(const Experiment& experiment, const RunOptions& options)
      : experiment_(experiment), options_(options) {}

  // Makes the job's workload the current one. A failure is kept, see load_failure. What could not
  // be read is added to bad_inputs.
  void load(const Cell& cell, std::vector<std::string>& bad_inputs);

  const std::optional<std::string>& load_failure() const noexcept { return load_failure_; }
  // Requires no load_failure.
  const Workload& workload() const noexcept { return *workload_; }

  // Of the workload's data. Requires no load_failure.
  const std::string& fingerprint() const noexcept { return workload_->fingerprint; }

  // Require no load_failure. Throw what attending throws.
  const DenseReference& reference(const AttentionInputs& inputs, std::size_t check);
  const TraceReference& trace_reference(std::size_t check);
  // On the CUDA device, which holds q, k and v meanwhile.
  CudaReference& cuda_reference(const AttentionInputs& inputs, std::size_t check);

 private:
  // A reference and the check that it is for.
  template <typename Reference>
  struct Kept {
    std::optional<std::size_t> check;
    std::unique_ptr<Reference> reference;
  };
  template <typename Reference, typename Make>
  Reference& keep(Kept<Reference>& kept, std::size_t check, const Make& make);

  const Experiment& experiment_;
  const RunOptions& options_;
  std::optional<std::size_t> loaded_;
  std::optional<std::string> load_failure_;
  std::unique_ptr<Workload> workload_;
  Kept<DenseReference> reference_;
  Kept<TraceReference> trace_;
  Kept<CudaReference> cuda_reference_;
};

}  // namespace maskerade
