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
  std::string dtype;                // "F32", "BF16", ...
  std::vector<std::int64_t> shape;  // row-major
  std::uint64_t begin_bytes = 0;    // in the data that follows the header
  std::uint64_t end_bytes = 0;
};

// A safetensors file (huggingface.co/docs/safetensors: 8 bytes of header length, little-endian; a
// JSON header; the tensors without holes). The whole header is validated when it is opened; tensors
// are copied out of the file when they are asked for. A value; copies share the open file.
class SafetensorsFile {
 public:
  // Throws DataError when the file cannot be read or breaks the format.
  static SafetensorsFile open(const std::filesystem::path& file);

  // All tensors, by name.
  const std::vector<SafetensorsEntry>& entries() const noexcept { return entries_; }
  // The texts of the header's `__metadata__`.
  const std::map<std::string, std::string>& metadata() const noexcept { return metadata_; }

  // A tensor [batch, heads, length, dim] of F32, F16 or BF16 whose axes lie in the file as `layout`
  // says, with or without the batch axis. Throws DataError when there is none of that name, on
  // another shape or type, or when it cannot be read.
  Tensor tensor(const std::string& name, TensorLayout layout = TensorLayout::kBhld) const;
  // The same without its data, which is not read.
  TensorView describe(const std::string& name, TensorLayout layout) const;
  // The values of a tensor of I64 or I32 of any shape, the last axis fastest. Throws DataError when
  // there is none of that name, or on another type.
  std::vector<std::int64_t> integers(const std::string& name) const;

  // Whether there is a tensor of that name.
  bool contains(const std::string& name) const noexcept;
  // The header's entry of a tensor. Throws DataError when there is none of that name.
  const SafetensorsEntry& entry(const std::string& name) const;
  // The bytes of an entry of this file, little-endian and row-major. Throws DataError when they
  // cannot be read.
  std::vector<std::byte> read_bytes(const SafetensorsEntry& entry) const;

 private:
  explicit SafetensorsFile(DataFile file) : file_(std::move(file)) {}

  DataFile file_;
  std::uint64_t data_begin_ = 0;  // in the file
  std::vector<SafetensorsEntry> entries_;
  std::map<std::string, std::string> metadata_;
};

}  // namespace maskerade
