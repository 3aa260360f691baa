#include "experiments/measure/peak_memory.hpp"

#include <charconv>
#include <fstream>
#include <string>
#include <string_view>

namespace maskerade {

PeakMemory::PeakMemory() {
  std::ofstream file("/proc/self/clear_refs");
  file << "5" << std::flush;
  is_reset_ = static_cast<bool>(file);
}

std::optional<std::int64_t> PeakMemory::bytes() const {
  if (!is_reset_) return std::nullopt;
  constexpr std::string_view kName = "VmHWM:";
  std::ifstream file("/proc/self/status");
  for (std::string line; std::getline(file, line);) {
    if (!line.starts_with(kName)) continue;
    const std::size_t digit = line.find_first_of("0123456789");
    std::int64_t kibibytes = 0;
    if (digit == std::string::npos ||
        std::from_chars(line.data() + digit, line.data() + line.size(), kibibytes).ec !=
            std::errc{}) {
      return std::nullopt;
    }
    return kibibytes * 1024;
  }
  return std::nullopt;
}

}  // namespace maskerade
