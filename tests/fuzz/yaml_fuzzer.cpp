// The input is an experiment file; lines after a NUL byte are its --set options. Every text is read
// or refused with a ConfigError that has a place.
#include <cstdint>
#include <cstdlib>
#include <string_view>
#include <vector>

#include "experiments/config/experiment.hpp"
#include "tests/fuzz/memory_file.hpp"

namespace {

using namespace maskerade;

std::vector<Assignment> read_assignments(std::string_view lines) {
  std::vector<Assignment> assignments;
  while (!lines.empty()) {
    const std::string_view line = lines.substr(0, lines.find('\n'));
    const std::size_t equals = line.find('=');
    if (equals != std::string_view::npos && equals > 0) {
      assignments.push_back(
          {std::string(line.substr(0, equals)), std::string(line.substr(equals + 1))});
    }
    lines.remove_prefix(std::min(lines.size(), line.size() + 1));
  }
  return assignments;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const Catalog catalog = load_catalog("", FUZZ_MASKERS, {});
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const std::size_t end = std::min(input.find('\0'), input.size());
  const MemoryFile file(input.substr(0, end));
  try {
    const Experiment experiment = read_experiment(
        file.path(), read_assignments(input.substr(std::min(end + 1, input.size()))), catalog);
    if (experiment.workloads.empty() || experiment.pipelines.empty()) std::abort();
    if (make_grid(experiment).empty()) std::abort();
  } catch (const ConfigError& error) {
    if (error.position().file.empty()) std::abort();
  }
  return 0;
}
