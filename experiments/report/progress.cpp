#include "experiments/report/progress.hpp"

#include <fmt/format.h>
#include <sys/ioctl.h>

#include "experiments/report/number_text.hpp"

namespace maskerade {
namespace {

std::size_t terminal_width(std::FILE* stream) {
  winsize size{};
  if (ioctl(fileno(stream), TIOCGWINSZ, &size) != 0 || size.ws_col == 0) return 80;
  return size.ws_col;
}

}  // namespace

std::string progress_line(std::size_t done, std::size_t total, const CellResult& result) {
  std::string line = fmt::format("[{}/{}] {}: {}", done, total, result.workload, result.pipeline);
  if (result.device != "cpu") line += fmt::format(" ({})", result.device);
  line += fmt::format(": {}", name_of(result.status));
  if (!result.reason.empty()) line += ": " + result.reason;
  if (result.times) {
    line += fmt::format(", total {} ms, {}x dense", milliseconds_text(result.times->total.median),
                        number_text(result.times->speedup()));
  }
  return line;
}

void Progress::begin(const CellResult& begun) {
  if (!is_terminal_) return;
  std::string line =
      fmt::format("[{}/{}] {}: {}", done_ + 1, total_, begun.workload, begun.pipeline);
  if (done_ > 0) {
    const double left_ms =
        stopwatch_.elapsed_ms() / static_cast<double>(done_) * static_cast<double>(total_ - done_);
    line += fmt::format(", about {:.0f} s left", left_ms / 1000);
  }
  // Rationale: a line that wraps cannot be rewritten.
  const std::size_t width = terminal_width(stream_);
  if (line.size() >= width) line.resize(width - 1);
  fmt::print(stream_, "\r\x1b[K{}", line);
  std::fflush(stream_);
}

void Progress::finish(const CellResult& finished) {
  ++done_;
  if (is_terminal_) return;
  fmt::print(stream_, "{}\n", progress_line(done_, total_, finished));
  std::fflush(stream_);
}

void Progress::clear() {
  if (!is_terminal_) return;
  fmt::print(stream_, "\r\x1b[K");
  std::fflush(stream_);
}

}  // namespace maskerade
