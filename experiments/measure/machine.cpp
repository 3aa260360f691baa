#include "experiments/measure/machine.hpp"

#include <fstream>

#include "attention/cpu/attend.hpp"
#include "framework/base/sha256.hpp"

namespace maskerade {

std::string machine_name() {
  std::string model = "unknown processor";
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    const std::size_t colon = line.find(": ");
    if (line.starts_with("model name") && colon != std::string::npos) {
      model = line.substr(colon + 2);
      break;
    }
  }
  return model + ", " + instruction_set();
}

std::string program_version() {
  constexpr std::size_t kBuildDigits = 12;
  static const std::string kVersion = std::string(MASKERADE_VERSION) + "+" +
                                      sha256_of_file("/proc/self/exe").substr(0, kBuildDigits);
  return kVersion;
}

}  // namespace maskerade
