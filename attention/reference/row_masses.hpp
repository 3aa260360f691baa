#pragma once

#include <vector>

#include "framework/base/parallel.hpp"
#include "framework/mask/mask.hpp"
#include "framework/pipeline/attention_inputs.hpp"

namespace maskerade {

// The softmax mass of every row of a problem on parts of a mask: natural logarithms of sums of
// exp(logit) in float64, [batch, query_heads, query_len] each; -infinity for a row without such
// keys.
struct RowMasses {
  std::vector<double> certain;   // over the keys with p = 1
  std::vector<double> support;   // over all active keys, each once
  std::vector<double> weighted;  // over all active keys, each 1/p times: the lse of attention
};

// Computes the masses from the inputs as stored. Rationale: a share of the softmax mass is a
// difference of such logarithms. In float32 that is worth nothing where logits are large: one
// rounding of an lse of 10,000 is 0.001. The mask's extent and lengths must fit the inputs' shape.
RowMasses row_masses(const AttentionInputs& inputs, const Mask& mask, const Threads& threads);

}  // namespace maskerade
