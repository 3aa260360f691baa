#pragma once

#include <span>

#include "attention/backend/attention_output.hpp"
#include "framework/tensor/shape.hpp"

namespace maskerade {

// Attention over all keys from its parts over disjoint keys: out = sum of exp(lse_i - lse) out_i,
// lse = ln of the sum of exp(lse_i). Parts without keys in a row (lse = -inf) are skipped; a row
// without keys in any part gives out = 0, lse = -inf; a NaN stays one. Sums are float64. Throws
// ShapeError when a part is not of the shape, or there is none.
AttentionOutput merge_outputs(const AttentionShape& shape, std::span<const AttentionOutput> parts);

}  // namespace maskerade
