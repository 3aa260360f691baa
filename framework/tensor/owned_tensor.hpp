#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "framework/tensor/tensor.hpp"

namespace maskerade {

// Memory from allocate_aligned() with shared ownership.
std::shared_ptr<std::byte> aligned_bytes(std::size_t bytes);

// A contiguous tensor in host memory that can still be written. Copies share the memory.
struct OwnedTensor {
  TensorView view;
  std::shared_ptr<std::byte> memory;

  // Narrows values[dim] to the tensor's dtype and stores them as row (b, h, i).
  void store_row(std::int64_t b,
                 std::int64_t h,
                 std::int64_t i,
                 const float* values) const noexcept;
  // The tensor for readers, sharing the memory, which must not be written from now on.
  Tensor finish() const { return Tensor(view, memory); }
};

// A tensor [batch, heads, length, dim], each size at least 1, whose elements are not cleared.
// Throws ShapeError when it has 2^60 elements or more.
OwnedTensor new_tensor(
    DType dtype, std::int64_t batch, std::int64_t heads, std::int64_t length, std::int64_t dim);

}  // namespace maskerade
