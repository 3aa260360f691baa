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

}  // namespace maskerade
