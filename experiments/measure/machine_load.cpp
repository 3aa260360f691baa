#include "experiments/measure/machine_load.hpp"

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdlib>
#include <fstream>
#include <string>

namespace maskerade {
namespace {

// The fields of the line of all processors in /proc/stat, in its order; those of guests are in user
// and nice.
enum StatField : std::size_t {
  kUser,
  kNice,
  kSystem,
  kIdle,
  kIoWait,
  kInterrupts,
  kSoftInterrupts,
  kStolen,
  kStatFields
};

std::optional<double> busy_seconds_now() {
  std::ifstream file("/proc/stat");
  std::string line;
  if (!std::getline(file, line)) return std::nullopt;
  return busy_seconds(line, sysconf(_SC_CLK_TCK));
}

double seconds_of(const timeval& time) {
  return static_cast<double>(time.tv_sec) + 1e-6 * static_cast<double>(time.tv_usec);
}

// The processor time of this process and of the children that it waited for.
double own_seconds_now() {
  double seconds = 0;
  for (const auto who : {RUSAGE_SELF, RUSAGE_CHILDREN}) {
    rusage usage{};
    if (getrusage(who, &usage) != 0) continue;
    seconds += seconds_of(usage.ru_utime) + seconds_of(usage.ru_stime);
  }
  return seconds;
}

}  // namespace

std::optional<double> busy_seconds(std::string_view stat, std::int64_t ticks_per_second) {
  constexpr std::string_view kName = "cpu ";
  if (!stat.starts_with(kName) || ticks_per_second <= 0) return std::nullopt;
  stat.remove_prefix(kName.size());
  std::array<std::int64_t, kStatFields> ticks{};
  for (std::int64_t& field : ticks) {
    stat.remove_prefix(std::min(stat.find_first_not_of(' '), stat.size()));
    const auto parsed = std::from_chars(stat.data(), stat.data() + stat.size(), field);
    if (parsed.ec != std::errc()) return std::nullopt;
    stat.remove_prefix(static_cast<std::size_t>(parsed.ptr - stat.data()));
  }
  const std::int64_t busy = ticks[kUser] + ticks[kNice] + ticks[kSystem] + ticks[kInterrupts] +
                            ticks[kSoftInterrupts] + ticks[kStolen];
  return static_cast<double>(busy) / static_cast<double>(ticks_per_second);
}

std::optional<double> load_average() {
  double average = 0;
  return getloadavg(&average, 1) == 1 ? std::optional(average) : std::nullopt;
}

MachineLoad::MachineLoad()
    : begin_(std::chrono::steady_clock::now()),
      busy_seconds_(busy_seconds_now()),
      own_seconds_(own_seconds_now()) {}

LoadFacts MachineLoad::finish() const {
  LoadFacts load{.average = load_average()};
  const auto elapsed = std::chrono::steady_clock::now() - begin_;
  const std::optional<double> busy = busy_seconds_now();
  if (elapsed < kLeastMeasurable || !busy || !busy_seconds_) return load;
  const double others = (*busy - *busy_seconds_) - (own_seconds_now() - own_seconds_);
  load.other = std::max(others, 0.0) / std::chrono::duration<double>(elapsed).count();
  return load;
}

}  // namespace maskerade
