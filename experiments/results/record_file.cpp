#include "experiments/results/record_file.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <string_view>
#include <system_error>

#include "framework/base/error.hpp"

namespace maskerade {
namespace {

[[noreturn]] void refuse(const std::filesystem::path& file, int error) {
  const std::string cause =
      error == ENXIO ? "nothing reads this pipe" : std::generic_category().message(error);
  throw ConfigError(
      {.file = file.string()},
      "cannot be written (" + cause + "); name a file in a folder that exists and is writable");
}

bool is_regular(int descriptor) {
  struct stat status = {};
  return fstat(descriptor, &status) == 0 && S_ISREG(status.st_mode);
}

// Opens the file, and makes it its own while the descriptor is open.
int open_for_writing(const std::filesystem::path& file) {
  // Rationale: opening a pipe waits for its reader unless O_NONBLOCK is set.
  const int descriptor =
      open(file.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, 0666);
  if (descriptor < 0) refuse(file, errno);
  // Rationale: a file system without locks must not keep anyone from measuring.
  if (is_regular(descriptor) && flock(descriptor, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK) {
    close(descriptor);
    throw ConfigError({.file = file.string()},
                      "is written by another run; wait for it to end, or name another file");
  }
  fcntl(descriptor, F_SETFL, O_APPEND);
  return descriptor;
}

}  // namespace

void RecordFile::check_writable(const std::filesystem::path& file) {
  std::error_code ignored;
  if (std::filesystem::is_fifo(file, ignored)) {
    // Rationale: the reader of a pipe that is opened and closed takes it for the end.
    if (access(file.c_str(), W_OK) != 0) refuse(file, errno);
    return;
  }
  close(open_for_writing(file));
}

RecordFile::RecordFile(const std::filesystem::path& file)
    : file_(file), descriptor_(open_for_writing(file)) {
  if (!is_regular(descriptor_) || ftruncate(descriptor_, 0) == 0) return;
  const int error = errno;
  close(descriptor_);
  refuse(file, error);
}

RecordFile::~RecordFile() { close(descriptor_); }

void RecordFile::append(const std::string& record) {
  const off_t before = lseek(descriptor_, 0, SEEK_END);
  for (std::string_view rest = record; !rest.empty();) {
    const ssize_t written = write(descriptor_, rest.data(), rest.size());
    if (written >= 0) {
      rest.remove_prefix(static_cast<std::size_t>(written));
      continue;
    }
    if (errno == EINTR) continue;
    const std::string cause = std::generic_category().message(errno);
    if (before >= 0 && is_regular(descriptor_) && ftruncate(descriptor_, before) != 0) {
      // The broken record stays; the error below tells of it all the same.
    }
    throw ConfigError({.file = file_.string()}, "a result could not be written (" + cause +
                                                    "); what was written before it is kept");
  }
}

}  // namespace maskerade
