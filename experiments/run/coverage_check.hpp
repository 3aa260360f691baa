#pragma once

#include <cstdint>
#include <functional>
#include <optional>

#include "experiments/measure/coverage.hpp"
#include "framework/base/parallel.hpp"
#include "framework/pipeline/pipeline.hpp"

namespace maskerade {

struct CoverageOptions {
  std::int64_t seeds = 0;        // at least 1: first_seed and those after it
  std::uint64_t first_seed = 0;  // of the masks
  // Rows to look at: queries are drawn until all of their heads, of those with a masker that states
  // a guarantee, are that many, or there are no more. The draw is one fixed one.
  std::int64_t rows = 64;
  std::int64_t chunk_rows = 1024;
};

// What the one masker that states a guarantee, of those that select for a head, states: the same
// for all heads that have such a one. nullopt when there is none, a head has several, whose errors
// add up, or heads differ.
std::optional<Guarantee> guarantee_of(const Pipeline& pipeline);

// Makes a pipeline ready for inputs: those given, with fewer queries perhaps.
using CoveragePreparation = std::function<PreparedPipeline(
    const Pipeline& pipeline, const AttentionInputs& inputs, const PipelineOptions& options)>;

// How often the mask's estimate of the softmax denominator, the sum of exp(logit) / p over its
// entries, misses the stated guarantee: the pipeline selects anew with every seed, on the drawn
// queries as though the workload had no others. Logits are float64 on the inputs as stored. The
// same for any number of threads. Throws what selecting throws.
Coverage measure_coverage(const Pipeline& pipeline,
                          const AttentionInputs& inputs,
                          const CoveragePreparation& prepare,
                          const Guarantee& stated,
                          const CoverageOptions& options,
                          const Threads& threads);

}  // namespace maskerade
