#pragma once

#include <filesystem>
#include <fstream>
#include <string>

namespace maskerade {

// A text file that grows by records. Each is handed to the system as soon as it is appended, so
// that a killed run keeps the records of every cell that had ended.
class RecordFile {
 public:
  // Throws ConfigError when the file cannot be written. Keeps what is in it, and makes it where it
  // is missing.
  static void check_writable(const std::filesystem::path& file);

  // Replaces the file. Throws ConfigError when it cannot be written.
  explicit RecordFile(const std::filesystem::path& file);
  // Throws ConfigError when the record cannot be written.
  void append(const std::string& record);

 private:
  std::filesystem::path file_;
  std::ofstream stream_;
};

}  // namespace maskerade
