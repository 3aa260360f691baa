#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "framework/tensor/tensor.hpp"

namespace maskerade {

// allocate_aligned(), shared.
std::shared_ptr<std::byte> aligned_bytes(std::size_t bytes);

// A contiguous tensor that is being filled.
struct OwnedTensor {
  TensorView view;
  std::shared_ptr<std::byte> memory;

  // Narrows dim float32 values into row (b, h, i).
  void store_row(std::int64_t b,
                 std::int64_t h,
                 std::int64_t i,
                 const float* values) const noexcept;
  Tensor finish() const { return Tensor(view, memory); }
};

// Not cleared. Sizes are at least 1. Throws ShapeError at 2^60 elements or more.
OwnedTensor new_tensor(
    DType dtype, std::int64_t batch, std::int64_t heads, std::int64_t length, std::int64_t dim);

}  // namespace maskerade
