#pragma once

#include <cstdint>
#include <functional>
#include <optional>

#include "experiments/measure/coverage.hpp"
#include "framework/base/parallel.hpp"
#include "framework/pipeline/pipeline.hpp"

namespace maskerade {

struct CoverageOptions {
  std::int64_t seeds = 0;  // how many mask seeds are tried, at least 1: first_seed and upwards
  std::uint64_t first_seed = 0;
  // How many rows are looked at. Queries are drawn, by one fixed seed, until their rows, in the
  // heads for which a guarantee is stated, are that many or no query is left.
  std::int64_t rows = 64;
  std::int64_t chunk_rows = 1024;
};

// The guarantee that a pipeline states: that of the one masker of each head that states one.
// nullopt when no masker does, when a head has several such maskers (their errors add up), and when
// heads have different guarantees.
std::optional<Guarantee> guarantee_of(const Pipeline& pipeline);

// Prepares a pipeline for inputs: the workload's, or some of its queries.
using CoveragePreparation = std::function<PreparedPipeline(
    const Pipeline& pipeline, const AttentionInputs& inputs, const PipelineOptions& options)>;

// Measures how often a mask misses the stated guarantee. A mask estimates the softmax denominator
// of a row as the sum of exp(logit) / p over its entries. The pipeline selects anew with every
// seed, on the drawn queries as though the workload had no others. Logits are float64, of the
// inputs as stored. The result is the same for any number of threads. Throws what selecting throws.
Coverage measure_coverage(const Pipeline& pipeline,
                          const AttentionInputs& inputs,
                          const CoveragePreparation& prepare,
                          const Guarantee& stated,
                          const CoverageOptions& options,
                          const Threads& threads);

}  // namespace maskerade
