#pragma once

#include <cstdint>
#include <memory>

#include "framework/mask/visibility.hpp"
#include "framework/tensor/rope.hpp"
#include "framework/tensor/shape.hpp"
#include "framework/tensor/tensor.hpp"

namespace maskerade {

// One attention problem: masks are selected for it and attention is computed from it. A view: the
// tensors outlive it.
struct AttentionInputs {
  AttentionShape shape;
  TensorView q;        // [batch, query_heads, query_len, head_dim]
  TensorView k;        // [batch, kv_heads, key_len, head_dim]
  TensorView v;        // [batch, kv_heads, key_len, head_dim]
  float scale = 1.0F;  // logits are scale * q.k
  Visibility visibility;
  std::int64_t layer = 0;
  // How positions were applied to q and k; key j has position j. nullptr: that is not known.
  std::shared_ptr<const Rope> rope = nullptr;

  // Throws ShapeError unless the tensors and the visibility fit the shape and scale is finite and
  // positive.
  void validate() const;
};

// Throws ShapeError unless `next` is valid and views more or fewer keys of the sequence that
// `present` views: k and v at the same addresses with the same strides, and batch, heads, head_dim,
// layer and causality the same.
void check_same_sequence(const AttentionInputs& present, const AttentionInputs& next);

}  // namespace maskerade
