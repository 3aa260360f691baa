#include "attention/research_attention.hpp"

#include <utility>

namespace maskerade {

KernelPlan plan_with(const Kernel& kernel, Backend& backend, const SelectedMask& mask) {
  return {&kernel, kernel.plan(backend, mask)};
}

KernelPlan plan_for(Backend& backend, const SelectedMask& mask, std::string_view kernel) {
  return plan_with(choose_kernel(backend, mask, kernel), backend, mask);
}

ResearchAttention::ResearchAttention(Pipeline pipeline, std::string kernel)
    : pipeline_(std::move(pipeline)), kernel_(std::move(kernel)) {}

LoadedPipeline ResearchAttention::load(const Backend& backend,
                                       const PipelineOptions& options) const {
  return pipeline_.load(backend.inputs(), options);
}

std::unique_ptr<PreparedSelection> ResearchAttention::prepare(
    Backend& backend, const PipelineOptions& options) const {
  return backend.prepare(load(backend, options));
}

const Kernel& ResearchAttention::kernel(const Backend& backend, const SelectedMask& mask) const {
  return choose_kernel(backend, mask, kernel_);
}

KernelPlan ResearchAttention::plan(Backend& backend, const SelectedMask& mask) const {
  return plan_for(backend, mask, kernel_);
}

AttentionOutput ResearchAttention::run(Backend& backend, const PipelineOptions& options) const {
  const std::unique_ptr<PreparedSelection> prepared = prepare(backend, options);
  const std::unique_ptr<SelectedMask> mask = prepared->select();
  const KernelPlan planned = plan(backend, *mask);
  AttentionOutput output;
  planned.attend(backend, output);
  backend.fetch(*planned.plan, output);
  return output;
}

}  // namespace maskerade
