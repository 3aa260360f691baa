#include "experiments/run/current_workload.hpp"

#include <exception>
#include <new>

#include "framework/base/error.hpp"

namespace maskerade {

std::optional<std::string> failure_of(const std::function<void()>& body) {
  try {
    body();
    return std::nullopt;
  } catch (const std::bad_alloc&) {
    return "out of memory";
  } catch (const std::exception& error) {
    return error.what();
  } catch (...) {
    return "an exception of unknown type";
  }
}

void CurrentWorkload::load(const Cell& cell, std::vector<std::string>& bad_inputs) {
  if (loaded_ == cell.workload) return;
  loaded_ = cell.workload;
  reference_ = {};
  trace_ = {};
  cuda_reference_ = {};
  workload_.reset();
  const WorkloadSpec& spec = experiment_.workloads[cell.workload];
  load_failure_ = failure_of([&] {
    try {
      workload_ = std::make_unique<Workload>(load_workload(spec));
    } catch (const ConfigError& error) {
      bad_inputs.push_back(error.what());
      throw;
    } catch (const DataError& error) {
      bad_inputs.push_back(error.what());
      throw;
    }
  });
}

template <typename Reference, typename Make>
Reference& CurrentWorkload::keep(Kept<Reference>& kept, std::size_t check, const Make& make) {
  if (kept.check != check) {
    kept = {};  // before the next one is made: both at once may be too large
    kept.reference = make(experiment_.checks[check].check);
    kept.check = check;
  }
  return *kept.reference;
}

const DenseReference& CurrentWorkload::reference(const AttentionInputs& inputs, std::size_t check) {
  return keep(reference_, check, [&](const CheckSpec& spec) {
    return std::make_unique<DenseReference>(inputs, spec, options_.threads);
  });
}

const TraceReference& CurrentWorkload::trace_reference(std::size_t check) {
  return keep(trace_, check, [&](const CheckSpec& spec) {
    return std::make_unique<TraceReference>(*workload_, spec, options_.threads);
  });
}

CudaReference& CurrentWorkload::cuda_reference(const AttentionInputs& inputs, std::size_t check) {
  return keep(cuda_reference_, check, [&](const CheckSpec& spec) {
    return std::make_unique<CudaReference>(inputs, spec, options_.threads);
  });
}

}  // namespace maskerade
