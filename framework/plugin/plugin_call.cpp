#include "framework/plugin/plugin_call.hpp"

#include <fmt/format.h>

namespace maskerade {

std::string exception_text(const char* exception) {
  return fmt::format("threw an exception {}; a function of a plugin must not throw",
                     exception == nullptr ? "of unknown type" : fmt::format("({})", exception));
}

std::string floating_point_text(const std::string& change) {
  return fmt::format(
      "changed the floating-point environment (after it the thread {}); a function of a plugin "
      "must "
      "leave it as it was",
      change);
}

}  // namespace maskerade
