#include "attention/research_attention.hpp"

#include <utility>

#include "attention/cpu/attend.hpp"

namespace maskerade {

ResearchAttention::ResearchAttention(Pipeline pipeline,
                                     std::optional<Kernel> kernel,
                                     CostModel costs)
    : pipeline_(std::move(pipeline)), kernel_(kernel), costs_(std::move(costs)) {}

PreparedPipeline ResearchAttention::prepare(const AttentionInputs& inputs,
                                            const PipelineOptions& options,
                                            const Threads& threads) const {
  return pipeline_.prepare(inputs, options, threads);
}

Plan ResearchAttention::plan(const Mask& mask,
                             const AttentionInputs& inputs,
                             const Threads& threads) const {
  return make_plan(mask, inputs.shape, kernel_, inputs.k.dtype, costs_, threads);
}

AttentionOutput ResearchAttention::run(const AttentionInputs& inputs,
                                       const PipelineOptions& options,
                                       const Threads& threads) const {
  const PreparedPipeline prepared = prepare(inputs, options, threads);
  const Selection selection = prepared.select(threads);
  AttentionOutput output;
  attend(inputs, plan(selection.mask, inputs, threads), threads, output);
  return output;
}

}  // namespace maskerade
