#pragma once

#include <cstdint>
#include <vector>

#include "attention/backend/attention_output.hpp"
#include "framework/mask/mask.hpp"

namespace maskerade {

// Float64 attention of one row over exactly the masked keys, by the definition: logits
// l_k = scale q.k - ln p_k, m = max l, out = sum exp(l - m) v / sum exp(l - m), lse = m + ln sum.
// Slow and obvious: the judge of every kernel.
struct OracleRow {
  std::vector<double> out;  // [head_dim]; zeros for a row without active keys
  double lse = 0;           // -inf for a row without active keys
};
OracleRow oracle_row(const AttentionInputs& inputs,
                     const Mask& mask,
                     std::int64_t batch,
                     std::int64_t query_head,
                     std::int64_t query);

// Error of a row of a kernel: max abs(out - oracle) / max abs(oracle). When the oracle is all zero,
// max abs(out). NaN anywhere gives infinity.
double row_error(const OracleRow& oracle, const float* out);

}  // namespace maskerade
