#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "framework/tensor/tensor.hpp"
#include "framework/tensor_files/data_file.hpp"
#include "framework/tensor_files/tensor_layout.hpp"

namespace maskerade {

// One array in NumPy's npy format, versions 1.0, 2.0 and 3.0 (numpy.org/doc/stable/reference/
// generated/numpy.lib.format.html: magic, version, header length, a Python dictionary as text, the
// elements). The header and the file's size are checked when it is opened; the header is parsed,
// never evaluated as Python. Elements are read from the file when they are asked for. A value;
// copies share the open file.
class NpyFile {
 public:
  // Throws DataError when the file cannot be read, breaks the format, or holds elements in Fortran
  // order, of another byte order than little-endian, or of a type that is neither a float, an
  // integer of 32 or 64 bits, an unsigned byte nor a boolean.
  static NpyFile open(const std::filesystem::path& file);

  // The element type as the file spells it, such as "<f4" or "<i8".
  const std::string& descr() const noexcept { return descr_; }
  const std::vector<std::int64_t>& shape() const noexcept { return shape_; }
  // The bytes of the elements, little-endian and row-major. Throws DataError when they cannot be
  // read.
  std::vector<std::byte> read_bytes() const;

  // The array as a tensor [batch, heads, length, dim] of float32 ("<f4") or float16 ("<f2"); npy
  // has no bfloat16. `layout` says the order of the file's axes. Throws DataError when the array
  // has another shape or type, or cannot be read.
  Tensor tensor(TensorLayout layout) const;
  // The view that tensor() would give, with null data: no element is read.
  TensorView describe(TensorLayout layout) const;
  // The values of an array of 64- or 32-bit integers ("<i8", "<i4") of any shape, row-major. Throws
  // DataError when it has another type or cannot be read.
  std::vector<std::int64_t> integers() const;

 private:
  explicit NpyFile(DataFile file) : file_(std::move(file)) {}

  DataFile file_;
  std::string descr_;
  std::vector<std::int64_t> shape_;
  std::uint64_t data_begin_ = 0;  // the byte of the file at which the elements begin
};

}  // namespace maskerade
