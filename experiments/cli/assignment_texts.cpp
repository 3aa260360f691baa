#include "experiments/cli/assignment_texts.hpp"

#include <cstddef>

#include "framework/base/error.hpp"

namespace maskerade {

std::vector<Assignment> assignments_of(const std::vector<std::string>& texts) {
  std::vector<Assignment> assignments;
  for (const std::string& text : texts) {
    const std::size_t equals = text.find('=');
    if (equals == std::string::npos || equals == 0) {
      throw ConfigError(
          {}, "--set " + text + ": give key=value, for example --set measure.budget=500ms");
    }
    assignments.push_back({text.substr(0, equals), text.substr(equals + 1)});
  }
  return assignments;
}

}  // namespace maskerade
