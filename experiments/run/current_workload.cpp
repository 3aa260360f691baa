#include "experiments/run/current_workload.hpp"

#include <exception>
#include <new>

#include "experiments/data/fingerprint.hpp"
#include "framework/base/error.hpp"

namespace maskerade {

std::optional<std::string> failure_of(const std::function<void()>& body) {
  try {
    body();
    return std::nullopt;
  } catch (const RunStopped&) {
    throw;
  } catch (const std::bad_alloc&) {
    return "out of memory";
  } catch (const std::exception& error) {
    return error.what();
  } catch (...) {
    return "an exception of unknown type";
  }
}

const OpenedWorkload& CurrentWorkload::load(const Cell& cell) {
  if (loaded_ == cell.workload) return opened_;
  forget();
  loaded_ = cell.workload;
  const WorkloadSpec& spec = experiment_.workloads[cell.workload];
  const std::optional<std::string> failure = failure_of([&] {
    try {
      workload_ = std::make_unique<Workload>(load_workload(spec));
    } catch (const ConfigError&) {
      opened_.is_bad_input = true;
      throw;
    } catch (const DataError&) {
      opened_.is_bad_input = true;
      throw;
    }
  });
  opened_.failure = failure.value_or("");
  if (workload_ != nullptr) opened_.description = describe_workload(*workload_);
  return opened_;
}

void CurrentWorkload::forget_if_changed() {
  if (workload_ == nullptr) return;
  if (data_fingerprint(workload_->inputs(), options_.threads) != workload_->fingerprint) forget();
}

void CurrentWorkload::forget() {
  loaded_.reset();
  devices_.clear();
  workload_.reset();
  opened_ = {};
}

CurrentWorkload::OnDevice& CurrentWorkload::on_device(const std::string& device) {
  OnDevice& found = devices_[device];
  if (found.backend == nullptr) {
    const bool is_trace = workload_->decode_steps > 0;
    found.backend =
        open_backend(device, is_trace ? workload_->prompt_inputs() : workload_->inputs(),
                     {.threads = options_.threads,
                      .costs = options_.costs,
                      .key_capacity = workload_->shape.key_len});
  }
  return found;
}

CurrentWorkload::OnDevice& CurrentWorkload::on_device(const std::string& device,
                                                      std::size_t check) {
  OnDevice& found = on_device(device);
  if (found.check != check) {
    // Before the next ones are made: both at once may be too large.
    found.reference.reset();
    found.trace.reset();
    found.check = check;
  }
  return found;
}

Backend& CurrentWorkload::backend(const std::string& device) { return *on_device(device).backend; }

const DenseReference& CurrentWorkload::reference(const std::string& device, std::size_t check) {
  OnDevice& found = on_device(device, check);
  if (found.reference == nullptr) {
    found.reference = std::make_unique<DenseReference>(
        *found.backend, experiment_.checks[check].check, options_.threads);
  }
  return *found.reference;
}

const TraceReference& CurrentWorkload::trace_reference(const std::string& device,
                                                       std::size_t check) {
  OnDevice& found = on_device(device, check);
  if (found.trace == nullptr) {
    found.trace = std::make_unique<TraceReference>(
        *found.backend, *workload_, experiment_.checks[check].check, options_.threads);
  }
  return *found.trace;
}

}  // namespace maskerade
