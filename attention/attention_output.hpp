#pragma once

#include <vector>

#include "framework/pipeline/attention_inputs.hpp"

namespace maskerade {

// What attention gives, float32 whatever the storage of the inputs.
struct AttentionOutput {
  std::vector<float> out;  // [batch, query_heads, query_len, head_dim]
  std::vector<float>
      lse;  // [batch, query_heads, query_len] natural log; -inf for rows without keys

  // Sizes the arrays for a shape.
  void resize(const AttentionShape& shape) {
    out.resize(static_cast<std::size_t>(shape.rows() * shape.head_dim));
    lse.resize(static_cast<std::size_t>(shape.rows()));
  }
};

}  // namespace maskerade
