#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "framework/tensor/tensor.hpp"

namespace maskerade {

// A regular file, open for reading. What is read is copied, so that a file that is changed or cut
// later changes nothing that is in use. Copies share the open file.
class DataFile {
 public:
  // Throws DataError when the file cannot be opened or is no regular file.
  static DataFile open(const std::string& file);

  const std::string& name() const noexcept { return name_; }
  // In bytes, when it was opened.
  std::uint64_t size() const noexcept { return size_; }
  // Fills `target` with the bytes from `begin` on. Throws DataError when they cannot be read, or
  // are no longer there.
  void read(std::uint64_t begin, std::span<std::byte> target) const;

 private:
  DataFile() = default;

  std::string name_;
  std::uint64_t size_ = 0;
  std::shared_ptr<const int> descriptor_;
};

// Copies a contiguous tensor that begins at byte `begin` of a file; `description` has no data.
// Throws as DataFile::read.
Tensor read_tensor(const DataFile& file, std::uint64_t begin, TensorView description);

}  // namespace maskerade
