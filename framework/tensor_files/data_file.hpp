#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "framework/tensor/tensor.hpp"

namespace maskerade {

// A regular file that is open for reading. What is read is copied, so that nothing in use changes
// when the file is changed or cut later. Copies share the open file, which is closed with the last.
class DataFile {
 public:
  // Throws DataError when the file cannot be opened or is no regular file.
  static DataFile open(const std::string& file);

  const std::string& name() const noexcept { return name_; }
  // The size in bytes that the file had when it was opened.
  std::uint64_t size() const noexcept { return size_; }
  // Fills `target` with the bytes from byte `begin` of the file on. Throws DataError when they
  // cannot be read or the file no longer has them.
  void read(std::uint64_t begin, std::span<std::byte> target) const;

 private:
  DataFile() = default;

  std::string name_;
  std::uint64_t size_ = 0;
  std::shared_ptr<const int> descriptor_;
};

// Reads a contiguous tensor that begins at byte `begin` of a file. `description` is its view
// without the data; the result owns a copy. Throws DataError as DataFile::read() does.
Tensor read_tensor(const DataFile& file, std::uint64_t begin, TensorView description);

}  // namespace maskerade
