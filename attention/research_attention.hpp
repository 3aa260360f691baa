#pragma once

#include <optional>
#include <utility>

#include "attention/attention_output.hpp"
#include "attention/plan.hpp"
#include "framework/pipeline/pipeline.hpp"

namespace maskerade {

// A research attention: a pipeline that selects, and the kernel that attends to what it selected.
// The four stages can be called, and timed, one by one.
class ResearchAttention {
 public:
  // kernel: nullopt chooses for each tile row, see make_plan.
  explicit ResearchAttention(Pipeline pipeline,
                             std::optional<Kernel> kernel = std::nullopt,
                             CostModel costs = CostModel::defaults());

  const Pipeline& pipeline() const noexcept { return pipeline_; }
  // The same kernel and costs over another pipeline.
  ResearchAttention with(Pipeline pipeline) const {
    return ResearchAttention(std::move(pipeline), kernel_, costs_);
  }

  PreparedPipeline prepare(const AttentionInputs& inputs,
                           const PipelineOptions& options,
                           const Threads& threads) const;
  Plan plan(const Mask& mask, const AttentionInputs& inputs, const Threads& threads) const;

  // All stages in turn.
  AttentionOutput run(const AttentionInputs& inputs,
                      const PipelineOptions& options,
                      const Threads& threads) const;

 private:
  Pipeline pipeline_;
  std::optional<Kernel> kernel_;
  CostModel costs_;
};

}  // namespace maskerade
