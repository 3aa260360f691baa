#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "framework/tensor/tensor.hpp"
#include "framework/tensor_files/tensor_layout.hpp"

namespace maskerade {

// One array in NumPy's npy format, versions 1.0, 2.0 and 3.0 (numpy.org/doc/stable/reference/
// generated/numpy.lib.format.html: magic, version, header length, a Python dictionary as text, the
// elements), mapped into memory. Header and size are validated when it is opened; the header is
// read with a grammar of our own and nothing of it is evaluated. A value; copies and tensors share
// the mapping.
class NpyFile {
 public:
  // Throws DataError when the file cannot be read, breaks the format, or holds elements in Fortran
  // order, of another byte order than little-endian, or of a type that is neither a float, an
  // integer of 32 or 64 bits, an unsigned byte nor a boolean.
  static NpyFile open(const std::filesystem::path& file);

  // The element type as the file spells it: "<f4", "<i8".
  const std::string& descr() const noexcept { return descr_; }
  const std::vector<std::int64_t>& shape() const noexcept { return shape_; }
  // The elements, little-endian and row-major, as they lie in the mapped file: not aligned. They
  // live as long as this object or a copy.
  std::span<const std::byte> bytes() const noexcept {
    return {data_.get(), static_cast<std::size_t>(data_bytes_)};
  }

  // The array as a tensor [batch, heads, length, dim], from <f4 or <f2 (npy has no bfloat16). It
  // lies in the mapped file unless its data is not aligned to its elements: then it is a copy.
  // Throws DataError on another shape or type.
  Tensor tensor(TensorLayout layout) const;
  // The values of an array of <i8 or <i4 of any shape, the last axis fastest. Throws DataError on
  // another type.
  std::vector<std::int64_t> integers() const;

 private:
  NpyFile() = default;

  std::string file_;
  std::string descr_;
  std::vector<std::int64_t> shape_;
  std::uint64_t data_bytes_ = 0;
  std::shared_ptr<const std::byte> data_;  // the first element; keeps the mapping
};

}  // namespace maskerade
