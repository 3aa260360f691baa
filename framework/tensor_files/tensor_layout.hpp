#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "framework/tensor/tensor.hpp"

namespace maskerade {

// The order of the axes of q, k and v in a file, outermost first. A file's tensor of rank 3 has no
// batch axis and is batch 1.
enum class TensorLayout {
  kBhld,  // [batch, heads, length, head_dim]
  kBlhd,  // [batch, length, heads, head_dim]
};

// "[batch, heads, length, head_dim] or [heads, length, head_dim]", for messages.
std::string_view axes_of(TensorLayout layout) noexcept;

// Whether a shape has rank 3 or 4 and no empty axis.
bool is_attention_shape(const std::vector<std::int64_t>& shape) noexcept;

// A contiguous tensor, seen as [batch, heads, length, dim] through its strides; nothing
// is copied. Requires is_attention_shape(shape).
TensorView view_of_layout(const void* data,
                          DType dtype,
                          const std::vector<std::int64_t>& shape,
                          TensorLayout layout) noexcept;

// Little-endian two's-complement integers of element_bytes (4 or 8) each, wherever they lie.
std::vector<std::int64_t> load_integers(std::span<const std::byte> bytes,
                                        std::size_t element_bytes);

}  // namespace maskerade
