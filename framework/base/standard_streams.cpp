#include "framework/base/standard_streams.hpp"

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <cerrno>
#include <string>
#include <system_error>

#include "framework/base/error.hpp"

namespace maskerade {

void guard_standard_streams() noexcept {
  for (const int descriptor : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    if (fcntl(descriptor, F_GETFD) != -1 || errno != EBADF) continue;
    // The lowest free descriptor is this one. Opened for the other direction, so that its use
    // fails.
    open("/dev/null", descriptor == STDIN_FILENO ? O_WRONLY : O_RDONLY);
  }
  struct sigaction ignore = {};
  ignore.sa_handler = SIG_IGN;
  for (const int signal : {SIGPIPE, SIGXFSZ}) sigaction(signal, &ignore, nullptr);
}

void write_message(std::FILE* stream, std::string_view text) noexcept {
  std::fwrite(text.data(), 1, text.size(), stream);
  std::fflush(stream);
}

void finish_standard_output() {
  errno = 0;
  // The error of an earlier write, which ferror() tells of, has no errno any more.
  if (std::fflush(stdout) == 0 && std::ferror(stdout) == 0) return;
  const std::string cause = errno == 0 ? "" : " (" + std::generic_category().message(errno) + ")";
  throw ConfigError(
      {}, "standard output cannot be written" + cause + "; is the disk or the pipe full?");
}

bool has_lost_messages() noexcept { return std::ferror(stderr) != 0; }

}  // namespace maskerade
