#include "experiments/measure/machine.hpp"

#include <fstream>

#include "attention/cpu/attend.hpp"
#include "framework/base/sha256.hpp"

namespace maskerade {

namespace {

std::string processor_model() {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    const std::size_t colon = line.find(": ");
    if (line.starts_with("model name") && colon != std::string::npos) return line.substr(colon + 2);
  }
  return "unknown processor";
}

}  // namespace

std::string machine_name() {
  // Rationale: every cell has it, and both of its parts take as long as a small cell.
  static const std::string kName = processor_model() + ", " + instruction_set();
  return kName;
}

std::string program_version() {
  constexpr std::size_t kBuildDigits = 12;
  static const std::string kVersion = std::string(MASKERADE_VERSION) + "+" +
                                      sha256_of_file("/proc/self/exe").substr(0, kBuildDigits);
  return kVersion;
}

}  // namespace maskerade
