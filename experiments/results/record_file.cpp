#include "experiments/results/record_file.hpp"

#include <cerrno>
#include <system_error>

#include "framework/base/error.hpp"

namespace maskerade {
namespace {

std::string last_system_error() {
  return errno == 0 ? "unknown cause" : std::generic_category().message(errno);
}

std::ofstream open_for_writing(const std::filesystem::path& file, std::ios::openmode mode) {
  errno = 0;
  std::ofstream stream(file, std::ios::binary | mode);
  if (!stream) {
    throw ConfigError({.file = file.string()},
                      "cannot be written (" + last_system_error() +
                          "); name a file in a folder that exists and is writable");
  }
  return stream;
}

}  // namespace

void RecordFile::check_writable(const std::filesystem::path& file) {
  open_for_writing(file, std::ios::app);
}

RecordFile::RecordFile(const std::filesystem::path& file)
    : file_(file), stream_(open_for_writing(file, std::ios::trunc)) {}

void RecordFile::append(const std::string& record) {
  errno = 0;
  stream_ << record << std::flush;
  if (!stream_) {
    throw ConfigError({.file = file_.string()},
                      "a result could not be written (" + last_system_error() + ")");
  }
}

}  // namespace maskerade
