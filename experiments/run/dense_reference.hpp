#pragma once

#include <cstdint>
#include <vector>

#include "attention/attention_output.hpp"
#include "attention/plan.hpp"
#include "experiments/config/experiment.hpp"
#include "experiments/measure/oracle_check.hpp"
#include "framework/base/parallel.hpp"

namespace maskerade {

// Attention over every visible key: what the cells of a workload are compared with and timed
// beside.
struct DenseReference {
  // Attends once, outside any timed region, and compares with the oracle.
  DenseReference(const AttentionInputs& inputs, const CheckSpec& check, const Threads& threads);
  // The same with the oracle's rows given, numbered as in oracle_sample.
  DenseReference(const AttentionInputs& inputs,
                 std::vector<std::int64_t> rows,
                 const Threads& threads);

  Mask mask;
  Plan plan;
  AttentionOutput output;
  std::vector<std::int64_t> oracle_rows;
  OracleError oracle;
};

}  // namespace maskerade
