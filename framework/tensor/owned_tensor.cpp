#include "framework/tensor/owned_tensor.hpp"

#include <fmt/format.h>

#include <optional>

#include "framework/base/error.hpp"
#include "framework/tensor/shape.hpp"

namespace maskerade {

std::shared_ptr<std::byte> aligned_bytes(std::size_t bytes) {
  return {allocate_aligned(bytes).release(), FreeAligned()};
}

void OwnedTensor::store_row(std::int64_t b,
                            std::int64_t h,
                            std::int64_t i,
                            const float* values) const noexcept {
  const std::int64_t element = b * view.batch_stride + h * view.head_stride + i * view.row_stride;
  convert_from_float(view.dtype, values, static_cast<std::size_t>(view.dim),
                     memory.get() + static_cast<std::size_t>(element) * size_of(view.dtype));
}

OwnedTensor new_tensor(
    DType dtype, std::int64_t batch, std::int64_t heads, std::int64_t length, std::int64_t dim) {
  const std::optional<std::int64_t> elements = count_elements({batch, heads, length, dim});
  if (!elements) {
    throw ShapeError(
        fmt::format("a tensor [{}, {}, {}, {}] is too large; it must have fewer than 2^60 elements",
                    batch, heads, length, dim));
  }
  OwnedTensor tensor;
  tensor.memory = aligned_bytes(static_cast<std::size_t>(*elements) * size_of(dtype));
  tensor.view = {.data = tensor.memory.get(),
                 .dtype = dtype,
                 .batch = batch,
                 .heads = heads,
                 .length = length,
                 .dim = dim,
                 .batch_stride = heads * length * dim,
                 .head_stride = length * dim,
                 .row_stride = dim};
  return tensor;
}

}  // namespace maskerade
