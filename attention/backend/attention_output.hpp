#pragma once

#include <vector>

#include "framework/pipeline/attention_inputs.hpp"
#include "framework/tensor/aligned_memory.hpp"

namespace maskerade {

// What attention gives, float32 whatever the storage of the inputs.
struct AttentionOutput {
  // [batch, query_heads, query_len, head_dim]. Aligned: vectors that are stored across two cache
  // lines each, to memory that is in no cache, took a tenth of dense attention.
  AlignedFloats out;
  std::vector<float>
      lse;  // [batch, query_heads, query_len] natural log; -inf for rows without keys

  // Sizes the arrays for a shape.
  void resize(const AttentionShape& shape) {
    out.resize(static_cast<std::size_t>(shape.rows() * shape.head_dim));
    lse.resize(static_cast<std::size_t>(shape.rows()));
  }
};

}  // namespace maskerade
