#include "framework/tensor_files/tensor_layout.hpp"

#include <algorithm>
#include <cstring>

namespace maskerade {

std::string_view name_of(TensorLayout layout) noexcept {
  return layout == TensorLayout::kBhld ? "bhld" : "blhd";
}

std::string_view axes_of(TensorLayout layout) noexcept {
  return layout == TensorLayout::kBhld
             ? "[batch, heads, length, head_dim] or [heads, length, head_dim]"
             : "[batch, length, heads, head_dim] or [length, heads, head_dim]";
}

bool is_attention_shape(const std::vector<std::int64_t>& shape) noexcept {
  if (shape.size() != 3 && shape.size() != 4) return false;
  return std::all_of(shape.begin(), shape.end(), [](std::int64_t size) { return size >= 1; });
}

TensorView view_of_layout(const void* data,
                          DType dtype,
                          const std::vector<std::int64_t>& shape,
                          TensorLayout layout) noexcept {
  const std::size_t first = shape.size() - 3;
  const bool heads_first = layout == TensorLayout::kBhld;
  TensorView view{.data = data,
                  .dtype = dtype,
                  .batch = first == 0 ? 1 : shape[0],
                  .heads = shape[heads_first ? first : first + 1],
                  .length = shape[heads_first ? first + 1 : first],
                  .dim = shape[first + 2]};
  view.head_stride = heads_first ? view.length * view.dim : view.dim;
  view.row_stride = heads_first ? view.dim : view.heads * view.dim;
  view.batch_stride = view.heads * view.length * view.dim;
  return view;
}

std::vector<std::int64_t> load_integers(std::span<const std::byte> bytes,
                                        std::size_t element_bytes) {
  std::vector<std::int64_t> values(bytes.size() / element_bytes);
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (element_bytes == sizeof(std::int64_t)) {
      std::memcpy(&values[i], &bytes[i * element_bytes], element_bytes);
    } else {
      std::int32_t value = 0;
      std::memcpy(&value, &bytes[i * element_bytes], sizeof(value));
      values[i] = value;
    }
  }
  return values;
}

}  // namespace maskerade
