#include "framework/pipeline/attention_inputs.hpp"

#include <fmt/format.h>

#include <cmath>

#include "framework/base/error.hpp"

namespace maskerade {
namespace {

void check_tensor(const char* name,
                  const TensorView& tensor,
                  std::int64_t batch,
                  std::int64_t heads,
                  std::int64_t length,
                  std::int64_t dim) {
  if (tensor.batch != batch || tensor.heads != heads || tensor.length != length ||
      tensor.dim != dim) {
    throw ShapeError(fmt::format("{} is [{}, {}, {}, {}]; the shape asks for [{}, {}, {}, {}]",
                                 name, tensor.batch, tensor.heads, tensor.length, tensor.dim, batch,
                                 heads, length, dim));
  }
  if (tensor.data == nullptr) throw ShapeError(fmt::format("{} has no data", name));
}

// Whether two views of any lengths have the same address, dtype and strides.
bool is_same_memory(const TensorView& a, const TensorView& b) {
  return a.data == b.data && a.memory == b.memory && a.dtype == b.dtype && a.batch == b.batch &&
         a.heads == b.heads && a.dim == b.dim && a.batch_stride == b.batch_stride &&
         a.head_stride == b.head_stride && a.row_stride == b.row_stride;
}

}  // namespace

void AttentionInputs::validate() const {
  shape.validate();
  check_tensor("q", q, shape.batch, shape.query_heads, shape.query_len, shape.head_dim);
  check_tensor("k", k, shape.batch, shape.kv_heads, shape.key_len, shape.head_dim);
  check_tensor("v", v, shape.batch, shape.kv_heads, shape.key_len, shape.head_dim);
  if (visibility.query_len() != shape.query_len || visibility.key_len() != shape.key_len) {
    throw ShapeError(fmt::format("visibility is {} x {}; the shape asks for {} x {}",
                                 visibility.query_len(), visibility.key_len(), shape.query_len,
                                 shape.key_len));
  }
  if (!std::isfinite(scale) || scale <= 0) {
    throw ShapeError(fmt::format("scale is {}; it must be finite and above 0", scale));
  }
}

void check_same_sequence(const AttentionInputs& present, const AttentionInputs& next) {
  next.validate();
  if (next.shape.query_heads != present.shape.query_heads || next.layer != present.layer ||
      next.visibility.is_causal() != present.visibility.is_causal() ||
      !is_same_memory(next.k, present.k) || !is_same_memory(next.v, present.v)) {
    throw ShapeError(
        fmt::format("inputs of shape {} do not view the sequence of those before, {}; k and v must "
                    "stay where they are, and batch, heads, head_dim, layer and causality the same",
                    next.shape.to_string(), present.shape.to_string()));
  }
}

}  // namespace maskerade
