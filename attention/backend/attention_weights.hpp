#pragma once

#include <cstdint>
#include <vector>

#include "framework/base/parallel.hpp"
#include "framework/mask/mask.hpp"
#include "framework/pipeline/attention_inputs.hpp"

namespace maskerade {

// The attention weights of rows over the keys that they attend to.
struct AttentionWeights {
  // [batch * query_heads * query_len + 1] Row r has entries offsets[r] to offsets[r + 1].
  std::vector<std::int64_t> offsets;
  std::vector<std::int32_t> keys;  // of each entry, ascending within a row
  // exp(logit - lse) of each entry, its logit being scale * q.k - ln p. They sum to 1 over a row.
  std::vector<float> weights;
};

// The entries of a mask without their weights, one row after the other in
// [batch, query_heads, query_len], and -ln p of each: 0 for p = 1.
struct MaskEntries {
  std::vector<std::int64_t> offsets;
  std::vector<std::int32_t> keys;
  std::vector<float> biases;
};
// The mask fits the shape.
MaskEntries entries_of(const Mask& mask, const AttentionShape& shape);

// The weights on the host: float64 sums of products of the inputs as stored. The same for
// any number of threads.
AttentionWeights weigh_on_host(const AttentionInputs& inputs,
                               const Mask& mask,
                               const Threads& threads);

}  // namespace maskerade
