#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "framework/tensor/aligned_memory.hpp"
#include "framework/tensor/dtype.hpp"

namespace maskerade {

// Whose memory a tensor lies in. Only the host's can be read here; row() of a device's gives
// pointers that the device can read.
enum class MemorySpace { kHost, kDevice };

// A read-only tensor [batch, heads, length, dim] in memory of someone else. The dim elements of a
// row are contiguous; the strides of the other axes are in elements and may be anything.
struct TensorView {
  const void* data = nullptr;
  DType dtype = DType::kFloat32;
  std::int64_t batch = 0;
  std::int64_t heads = 0;
  std::int64_t length = 0;
  std::int64_t dim = 0;
  std::int64_t batch_stride = 0;
  std::int64_t head_stride = 0;
  std::int64_t row_stride = 0;
  MemorySpace memory = MemorySpace::kHost;

  // Where the dim elements of row (b, h, i) begin.
  const void* row(std::int64_t b, std::int64_t h, std::int64_t i) const noexcept {
    return static_cast<const std::byte*>(data) +
           (b * batch_stride + h * head_stride + i * row_stride) *
               static_cast<std::int64_t>(size_of(dtype));
  }
  // Writes row (b, h, i), widened to float32, to target[dim].
  void load_row(std::int64_t b, std::int64_t h, std::int64_t i, float* target) const noexcept {
    convert_to_float(dtype, row(b, h, i), static_cast<std::size_t>(dim), target);
  }
};

// A tensor view together with what keeps its memory alive. Copies share the memory, which nothing
// changes.
class Tensor {
 public:
  Tensor() = default;
  // The tensor `view`, whose memory lives as long as `owner` does.
  Tensor(const TensorView& view, std::shared_ptr<const void> owner)
      : view_(view), owner_(std::move(owner)) {}
  // A contiguous tensor in memory of its own, 64-byte aligned, with the values narrowed to dtype:
  // values[batch, heads, length, dim]. Throws ShapeError as new_tensor() does.
  static Tensor from_floats(DType dtype,
                            std::int64_t batch,
                            std::int64_t heads,
                            std::int64_t length,
                            std::int64_t dim,
                            const float* values);

  const TensorView& view() const noexcept { return view_; }

 private:
  TensorView view_;
  std::shared_ptr<const void> owner_;
};

}  // namespace maskerade
