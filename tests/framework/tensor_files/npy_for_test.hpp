#pragma once

#include <filesystem>
#include <fstream>
#include <string>

namespace maskerade {

// The beginning of an npy file with this header, right or wrong: magic, version, header length,
// header.
inline std::string npy_start(const std::string& header, int major = 1) {
  std::string bytes = "\x93NUMPY";
  bytes += static_cast<char>(major);
  bytes += '\0';
  for (int i = 0; i < (major == 1 ? 2 : 4); ++i) {
    bytes += static_cast<char>(header.size() >> (8 * i) & 0xFF);
  }
  return bytes + header;
}

// The header that NumPy writes for a type and a shape. It is padded so that in a file of
// version 1.0 the data begins at a multiple of 64 bytes.
inline std::string npy_header(const std::string& descr, const std::string& shape) {
  std::string header =
      "{'descr': '" + descr + "', 'fortran_order': False, 'shape': " + shape + ", }";
  while ((npy_start(header).size() + 1) % 64 != 0) header += ' ';
  return header + "\n";
}

inline void write_file(const std::filesystem::path& file, const std::string& bytes) {
  std::ofstream(file, std::ios::binary | std::ios::trunc) << bytes;
}

}  // namespace maskerade
