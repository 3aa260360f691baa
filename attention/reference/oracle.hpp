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
};

// Attention of one row over exactly its active keys, by the definition: logits
// l_k = scale q.k - ln p_k, m = max l, out = sum exp(l - m) v / sum exp(l - m),
// lse = m + ln sum exp(l - m). Everything is computed in float64 from the inputs as stored. Slow
// and obvious: the judge of every kernel. The mask's extent and lengths must fit the inputs' shape.
OracleRow oracle_row(const AttentionInputs& inputs,
                     const Mask& mask,
                     std::int64_t batch,
                     std::int64_t query_head,
                     std::int64_t query);

// The error of a kernel's row, out[head_dim]: max abs(out - oracle) / max abs(oracle); when the
// oracle is all zeros, max abs(out). Infinity when a difference is NaN.
double row_error(const OracleRow& oracle, const float* out);

}  // namespace maskerade
