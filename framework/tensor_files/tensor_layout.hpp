#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "framework/tensor/tensor.hpp"

namespace maskerade {

// The order in which q, k and v have their axes in a file, outermost first. A tensor of three axes
// has no batch axis; its batch is 1.
enum class TensorLayout {
  kBhld,  // [batch, heads, length, head_dim]
  kBlhd,  // [batch, length, heads, head_dim]
};

// The name that users write: "bhld", "blhd".
std::string_view name_of(TensorLayout layout) noexcept;

// The axes that a file's tensor may have, as error messages show them:
// "[batch, heads, length, head_dim] or [heads, length, head_dim]".
std::string_view axes_of(TensorLayout layout) noexcept;

// Whether a shape has 3 or 4 axes, each of at least 1 element, as q, k and v have in a file.
bool is_attention_shape(const std::vector<std::int64_t>& shape) noexcept;

// A view, as [batch, heads, length, dim], of a contiguous tensor at `data` whose axes lie in the
// order of `layout`. Nothing is copied; `data` may be null. Requires is_attention_shape(shape).
TensorView view_of_layout(const void* data,
                          DType dtype,
                          const std::vector<std::int64_t>& shape,
                          TensorLayout layout) noexcept;

// The integers that `bytes` hold, little-endian and signed, each of element_bytes, which is 4 or 8.
// The bytes need not be aligned.
std::vector<std::int64_t> load_integers(std::span<const std::byte> bytes,
                                        std::size_t element_bytes);

}  // namespace maskerade
