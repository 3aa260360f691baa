#pragma once

#include <memory>
#include <string>
#include <utility>

#include "attention/backend/backend.hpp"
#include "attention/kernel_table.hpp"
#include "framework/pipeline/pipeline.hpp"

namespace maskerade {

// A plan and the kernel that made it, which alone can attend to it.
struct KernelPlan {
  const Kernel* kernel = nullptr;
  std::unique_ptr<Plan> plan;

  void attend(Backend& backend, AttentionOutput& output) const {
    kernel->attend(backend, *plan, output);
  }
};

KernelPlan plan_with(const Kernel& kernel, Backend& backend, const SelectedMask& mask);
// The same with a kernel of the table, by name. Throws as choose_kernel.
KernelPlan plan_for(Backend& backend, const SelectedMask& mask, std::string_view kernel);

// A research attention: a pipeline that selects keys, and the kernel that attends to them, on any
// backend. The stages (load, prepare, select, plan, attend) can be called, and timed, one by one. A
// value.
class ResearchAttention {
 public:
  // kernel: a name in the table of kernels.
  explicit ResearchAttention(Pipeline pipeline, std::string kernel = "auto");

  const Pipeline& pipeline() const noexcept { return pipeline_; }
  // The same kernel over another pipeline.
  ResearchAttention with(Pipeline pipeline) const {
    return ResearchAttention(std::move(pipeline), kernel_);
  }

  // Loads the pipeline for what the backend shows; Backend::prepare takes it. Throws as
  // Pipeline::load.
  LoadedPipeline load(const Backend& backend, const PipelineOptions& options) const;
  // Loads and prepares.
  std::unique_ptr<PreparedSelection> prepare(Backend& backend,
                                             const PipelineOptions& options) const;
  // The kernel for a mask. Throws as choose_kernel. Not part of a timed stage.
  const Kernel& kernel(const Backend& backend, const SelectedMask& mask) const;
  KernelPlan plan(Backend& backend, const SelectedMask& mask) const;

  // All stages in turn, on what the backend shows.
  AttentionOutput run(Backend& backend, const PipelineOptions& options = {}) const;

 private:
  Pipeline pipeline_;
  std::string kernel_;
};

}  // namespace maskerade
