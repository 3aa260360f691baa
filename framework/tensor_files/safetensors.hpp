#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "framework/tensor/tensor.hpp"
#include "framework/tensor_files/data_file.hpp"
#include "framework/tensor_files/tensor_layout.hpp"

namespace maskerade {

// What the header of a safetensors file says of one tensor.
struct SafetensorsEntry {
  std::string name;
  std::string dtype;                // the element type as the file spells it: "F32", "BF16", ...
  std::vector<std::int64_t> shape;  // outermost axis first; elements lie in row-major order
  std::uint64_t begin_bytes = 0;    // its bytes are [begin_bytes, end_bytes) of the data, which
  std::uint64_t end_bytes = 0;      // follows the header
};

// A safetensors file (huggingface.co/docs/safetensors: 8 bytes of header length, little-endian; a
// JSON header; the tensors' data without holes). The whole header is checked when the file is
// opened; tensors are read from the file when they are asked for. A value; copies share the open
// file.
class SafetensorsFile {
 public:
  // Throws DataError when the file cannot be read or breaks the format.
  static SafetensorsFile open(const std::filesystem::path& file);

  // The entries of all tensors, sorted by name.
  const std::vector<SafetensorsEntry>& entries() const noexcept { return entries_; }
  // The texts of the header's `__metadata__`.
  const std::map<std::string, std::string>& metadata() const noexcept { return metadata_; }

  // Reads a tensor [batch, heads, length, dim] of type F32, F16 or BF16. `layout` says the order of
  // the axes in the file, where the batch axis may be left out. Throws DataError when there is no
  // tensor of that name, when it has another shape or type, or when it cannot be read.
  Tensor tensor(const std::string& name, TensorLayout layout = TensorLayout::kBhld) const;
  // The view that tensor() would give, with null data: no element is read.
  TensorView describe(const std::string& name, TensorLayout layout) const;
  // Reads the values of a tensor of type I64 or I32 of any shape, in row-major order. Throws
  // DataError when there is no tensor of that name, when it has another type, or when it cannot be
  // read.
  std::vector<std::int64_t> integers(const std::string& name) const;

  // Whether there is a tensor of that name.
  bool contains(const std::string& name) const noexcept;
  // The header's entry of a tensor. Throws DataError when there is no tensor of that name.
  const SafetensorsEntry& entry(const std::string& name) const;
  // Reads the bytes of a tensor, little-endian and row-major, of which `entry` is this file's
  // entry. Throws DataError when they cannot be read.
  std::vector<std::byte> read_bytes(const SafetensorsEntry& entry) const;

 private:
  explicit SafetensorsFile(DataFile file) : file_(std::move(file)) {}

  DataFile file_;
  std::uint64_t data_begin_ = 0;  // the byte of the file at which the data begins
  std::vector<SafetensorsEntry> entries_;
  std::map<std::string, std::string> metadata_;
};

}  // namespace maskerade
