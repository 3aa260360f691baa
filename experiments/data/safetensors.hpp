#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "framework/tensor/tensor.hpp"

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

  // A tensor [batch, heads, length, dim], or [heads, length, dim] as batch 1, of F32, F16 or BF16.
  // It lies in the mapped file unless its data is not aligned to its elements: then it is a copy.
  // Throws DataError when there is none of that name, or on another shape or type.
  Tensor tensor(const std::string& name) const;

 private:
  SafetensorsFile() = default;

  std::string file_;
  std::shared_ptr<const std::byte> data_;  // the first byte after the header; keeps the mapping
  std::vector<SafetensorsEntry> entries_;
  std::map<std::string, std::string> metadata_;
};

}  // namespace maskerade
