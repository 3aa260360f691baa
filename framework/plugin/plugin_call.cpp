#include "framework/plugin/plugin_call.hpp"

#include <fmt/format.h>

namespace maskerade {
namespace {

constexpr const char* kOfExceptions = "a function of a plugin must not throw";
constexpr const char* kOfState = "a function of a plugin must leave it as it was";

}  // namespace

std::string exception_text(const char* exception) {
  return fmt::format("threw an exception {}; {}",
                     exception == nullptr ? "of unknown type" : fmt::format("({})", exception),
                     kOfExceptions);
}

std::string floating_point_text(const std::string& change) {
  return fmt::format("changed the floating-point environment (after it the thread {}); {}", change,
                     kOfState);
}

bool names_misconduct(std::string_view message) {
  return message.find(kOfExceptions) != std::string_view::npos ||
         message.find(kOfState) != std::string_view::npos;
}

}  // namespace maskerade
