#pragma once

#include <filesystem>
#include <string>

namespace maskerade {

// A file that is written record by record. Each is handed to the system whole and as soon as it is
// appended, so that a killed run keeps the records of every cell that had ended. A record that does
// not fit, because the disk is full, leaves nothing of itself in a regular file. A regular file has
// one writer at a time.
class RecordFile {
 public:
  // Throws ConfigError when the file cannot be written or another process writes it. Keeps what is
  // in it, and makes it where it is missing.
  static void check_writable(const std::filesystem::path& file);

  // Replaces the file. Throws ConfigError as check_writable() does.
  explicit RecordFile(const std::filesystem::path& file);
  ~RecordFile();
  RecordFile(const RecordFile&) = delete;
  RecordFile& operator=(const RecordFile&) = delete;

  // Throws ConfigError when the record cannot be written.
  void append(const std::string& record);

 private:
  std::filesystem::path file_;
  int descriptor_;
};

}  // namespace maskerade
