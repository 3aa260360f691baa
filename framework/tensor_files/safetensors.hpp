#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "framework/tensor/tensor.hpp"
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
// JSON header; the tensors without holes), mapped into memory. The whole header is validated when
// it is opened. A value; copies and tensors share the mapping.
class SafetensorsFile {
 public:
  // Throws DataError when the file cannot be read or breaks the format.
  static SafetensorsFile open(const std::filesystem::path& file);

  // All tensors, by name.
  const std::vector<SafetensorsEntry>& entries() const noexcept { return entries_; }
  // The texts of the header's `__metadata__`.
  const std::map<std::string, std::string>& metadata() const noexcept { return metadata_; }

  // A tensor [batch, heads, length, dim] of F32, F16 or BF16 whose axes lie in the file as `layout`
  // says, with or without the batch axis.
  // It lies in the mapped file unless its data is not aligned to its elements: then it is a copy.
  // Throws DataError when there is none of that name, or on another shape or type.
  Tensor tensor(const std::string& name, TensorLayout layout = TensorLayout::kBhld) const;
  // The values of a tensor of I64 or I32 of any shape, the last axis fastest. Throws DataError when
  // there is none of that name, or on another type.
  std::vector<std::int64_t> integers(const std::string& name) const;

  // Whether there is a tensor of that name.
  bool contains(const std::string& name) const noexcept;
  // The header's entry of a tensor. Throws DataError when there is none of that name.
  const SafetensorsEntry& entry(const std::string& name) const;
  // The bytes of an entry of this file, little-endian and row-major, as they lie in the mapped
  // file: not aligned. They live as long as this object or a copy.
  std::span<const std::byte> bytes(const SafetensorsEntry& entry) const noexcept;

 private:
  SafetensorsFile() = default;

  std::string file_;
  std::shared_ptr<const std::byte> data_;  // the first byte after the header; keeps the mapping
  std::vector<SafetensorsEntry> entries_;
  std::map<std::string, std::string> metadata_;
};

}  // namespace maskerade
