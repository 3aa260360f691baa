#include "experiments/report/terminal.hpp"

#include <sys/ioctl.h>
#include <unistd.h>

#include <cstdlib>
#include <string_view>

namespace maskerade {
namespace {

std::string_view environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

}  // namespace

std::size_t terminal_width(std::FILE* stream) {
  winsize size{};
  if (ioctl(fileno(stream), TIOCGWINSZ, &size) != 0 || size.ws_col == 0) return 80;
  return size.ws_col;
}

TerminalStyle terminal_style(std::FILE* stream) {
  if (isatty(fileno(stream)) == 0) return {};
  return {.width = terminal_width(stream),
          .has_colors = environment("NO_COLOR").empty() && environment("TERM") != "dumb"};
}

}  // namespace maskerade
