#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

namespace maskerade {

// A whole file, mapped into memory for reading. Copies share the mapping, which lives as long as
// the last of them.
struct MappedFile {
  std::shared_ptr<const std::byte> bytes;  // null when the file is empty
  std::uint64_t size = 0;
};

// Throws DataError when the file cannot be opened, read or mapped, or is no regular file.
MappedFile map_file(const std::string& file);

}  // namespace maskerade
