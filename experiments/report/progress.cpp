#include "experiments/report/progress.hpp"

#include <fmt/format.h>

#include <string_view>

#include "experiments/report/number_text.hpp"
#include "experiments/report/outcome.hpp"
#include "experiments/report/terminal.hpp"
#include "framework/base/standard_streams.hpp"
#include "framework/base/text.hpp"

namespace maskerade {
namespace {

// The whole characters of a line among its first bytes.
std::string shortened(const std::string& line, std::size_t most_bytes) {
  if (line.size() <= most_bytes) return line;
  return line.substr(0, first_invalid_byte(std::string_view(line).substr(0, most_bytes)));
}

}  // namespace

std::string progress_line(std::size_t done, std::size_t total, const CellResult& result) {
  std::string line = fmt::format("[{}/{}] {}: {}", done, total, result.workload, result.pipeline);
  if (result.device != "cpu") line += fmt::format(" ({})", result.device);
  line += ": " + outcome_text(result);
  if (!result.reason.empty()) line += ": " + result.reason;
  if (result.times) {
    line += fmt::format(", total {} ms, {}x dense", milliseconds_text(result.times->total.median),
                        number_text(result.times->speedup()));
  }
  return printable(line);
}

std::string time_left_text(double milliseconds) {
  const double seconds = milliseconds / 1000;
  if (seconds < 99.5) return fmt::format("{:.0f} s", seconds);
  if (seconds < 99.5 * 60) return fmt::format("{:.0f} min", seconds / 60);
  return fmt::format("{:.1f} h", seconds / 3600);
}

void Progress::begin(const CellResult& begun) {
  stopwatch_ = Stopwatch();
  if (!is_terminal_) return;
  std::string line =
      fmt::format("[{}/{}] {}: {}", done_ + 1, total_, begun.workload, begun.pipeline);
  if (finished_ > 0) {
    const double left_ms =
        finished_ms_ / static_cast<double>(finished_) * static_cast<double>(total_ - done_);
    line += fmt::format(", about {} left", time_left_text(left_ms));
  }
  // Rationale: a line that wraps cannot be rewritten.
  line = shortened(printable(line), terminal_width(stream_) - 1);
  write_message(stream_, "\r\x1b[K" + line);
}

void Progress::keep(const CellResult& kept) {
  ++done_;
  if (is_terminal_) return;
  write_message(stream_, progress_line(done_, total_, kept) + ", kept from an earlier run\n");
}

void Progress::finish(const CellResult& finished) {
  ++done_;
  ++finished_;
  finished_ms_ += stopwatch_.elapsed_ms();
  if (is_terminal_) return;
  write_message(stream_, progress_line(done_, total_, finished) + "\n");
}

void Progress::clear() {
  if (!is_terminal_) return;
  write_message(stream_, "\r\x1b[K");
}

}  // namespace maskerade
