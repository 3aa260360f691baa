#include "experiments/results/record_file.hpp"

#include <cerrno>
#include <system_error>

#include "framework/base/error.hpp"

namespace maskerade {
namespace {

std::string last_system_error() {
  return errno == 0 ? "unknown cause" : std::generic_category().message(errno);
}

}  // namespace

RecordFile::RecordFile(const std::filesystem::path& file) : file_(file) {
  errno = 0;
  stream_.open(file, std::ios::binary | std::ios::trunc);
  if (!stream_) {
    throw ConfigError({.file = file.string()},
                      "cannot be written (" + last_system_error() +
                          "); name a file in a folder that exists and is writable");
  }
}

void RecordFile::append(const std::string& record) {
  errno = 0;
  stream_ << record << std::flush;
  if (!stream_) {
    throw ConfigError({.file = file_.string()},
                      "a result could not be written (" + last_system_error() + ")");
  }
}

}  // namespace maskerade
