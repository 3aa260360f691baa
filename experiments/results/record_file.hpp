#pragma once

#include <filesystem>
#include <fstream>
#include <string>

namespace maskerade {

// A text file that grows by records, each handed to the system whole as soon as it is written, so
// that a killed run keeps every finished cell.
class RecordFile {
 public:
  // Throws ConfigError when the file cannot be written; what is in it stays, and one that is not
  // there is made.
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
