#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "framework/base/error.hpp"
#include "framework/tensor/dtype.hpp"

namespace maskerade {

// A temporary folder for one test, which is removed with the object.
class DataFolder {
 public:
  DataFolder() {
    std::string name = (std::filesystem::temp_directory_path() / "maskerade_XXXXXX").string();
    if (mkdtemp(name.data()) == nullptr) throw Error("no temporary folder");
    path_ = name;
  }
  ~DataFolder() { std::filesystem::remove_all(path_); }
  DataFolder(const DataFolder&) = delete;
  DataFolder& operator=(const DataFolder&) = delete;

  const std::filesystem::path& path() const { return path_; }
  std::filesystem::path file() const { return path_ / "x.safetensors"; }

  // Writes the file x.safetensors with these bytes.
  void write_bytes(const std::string& bytes) const {
    std::ofstream(file(), std::ios::binary | std::ios::trunc) << bytes;
  }
  // Writes the file x.safetensors with the header's length, the header and the data.
  void write(const std::string& header, const std::string& data) const {
    std::string bytes;
    for (int i = 0; i < 8; ++i) bytes += static_cast<char>(header.size() >> (8 * i) & 0xFF);
    write_bytes(bytes + header + data);
  }

  // An error message without the folder's path.
  std::string shorten(std::string message) const {
    const std::string folder = path_.string() + "/";
    for (std::size_t at = message.find(folder); at != std::string::npos;
         at = message.find(folder)) {
      message.erase(at, folder.size());
    }
    return message;
  }

 private:
  std::filesystem::path path_;
};

// The bytes of values that are narrowed to a dtype.
inline std::string bytes_of(DType dtype, const std::vector<float>& values) {
  std::string bytes(values.size() * size_of(dtype), '\0');
  convert_from_float(dtype, values.data(), values.size(), bytes.data());
  return bytes;
}

}  // namespace maskerade
