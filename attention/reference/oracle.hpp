#pragma once

#include <cstdint>
#include <vector>

#include "attention/backend/attention_output.hpp"
#include "framework/mask/mask.hpp"

namespace maskerade {

// What the oracle gives for one row, in float64.
struct OracleRow {
  std::vector<double> out;  // [head_dim]; zeros for a row without active keys
  double lse = 0;           // natural log; -inf for a row without active keys
  // How much the row's problem amplifies the rounding of whatever computes it.
  // The condition of its logits: the largest abs(scale) * sum over d of abs(q_d k_d) of an active
  // key; 0 without active keys.
  double logit_condition = 0;
  // How far its values cancel, w being the softmax weights: (max over d of sum w abs(v_d)) / (max
  // over d of abs(sum w v_d)). At least 1; infinite where the values cancel to 0.
  double cancellation = 1;
};

// Attention of one row over exactly its active keys, by the definition: logits
// l_k = scale q.k - ln p_k, m = max l, out = sum exp(l - m) v / sum exp(l - m),
// lse = m + ln sum exp(l - m). Everything is computed in float64 from the inputs as stored. Slow
// and obvious: the judge of every kernel (see row_judgement.hpp). The mask's extent and lengths
// must fit the inputs' shape.
OracleRow oracle_row(const AttentionInputs& inputs,
                     const Mask& mask,
                     std::int64_t batch,
                     std::int64_t query_head,
                     std::int64_t query);

}  // namespace maskerade
