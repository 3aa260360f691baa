#include "experiments/report/number_text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <sstream>

#include "framework/base/text.hpp"

namespace maskerade {
namespace {

// "1.20e-06" becomes "1.20e-6".
std::string with_short_exponent(const std::string& text) {
  const std::size_t e = text.find('e');
  if (e == std::string::npos) return text;
  return text.substr(0, e + 1) + std::to_string(std::stoi(text.substr(e + 1)));
}

std::string scientific(double value) { return with_short_exponent(fmt::format("{:.2e}", value)); }

// Decimals that show three significant digits of a value, after rounding to them.
int decimals_for(double value) {
  const std::string text = fmt::format("{:.2e}", value);
  return std::max(0, 2 - std::stoi(text.substr(text.find('e') + 1)));
}

}  // namespace

std::string number_text(double value) {
  if (!std::isfinite(value) || value == 0) return fmt::format("{:g}", value);
  const double size = std::abs(value);
  if (size < 1e-3 || size >= 1e5) return scientific(value);
  return fmt::format("{:.{}f}", value, decimals_for(value));
}

std::string short_number_text(double value) {
  if (!std::isfinite(value)) return fmt::format("{:g}", value);
  return with_short_exponent(fmt::format("{:.3g}", value));
}

std::string milliseconds_text(double value_ms) {
  if (!std::isfinite(value_ms) || value_ms == 0) return fmt::format("{:g}", value_ms);
  if (std::abs(value_ms) >= 1e5) return scientific(value_ms);
  return fmt::format("{:.{}f}", value_ms, std::min(4, decimals_for(value_ms)));
}

std::string wrapped(const std::string& text, std::size_t width, std::size_t indent) {
  std::istringstream words(text);
  std::string result;
  std::string line;
  for (std::string word; words >> word;) {
    word = printable(word);
    if (!line.empty() && indent + character_count(line) + 1 + character_count(word) > width) {
      result += std::string(indent, ' ') + line + "\n";
      line.clear();
    }
    line += (line.empty() ? "" : " ") + word;
  }
  if (!line.empty()) result += std::string(indent, ' ') + line + "\n";
  return result;
}

std::string wrapped_hanging(const std::string& text, std::size_t width, std::size_t indent) {
  constexpr std::size_t kHang = 2;
  const std::string lines = wrapped(text, width, indent + kHang);
  return lines.empty() ? lines : lines.substr(kHang);
}

}  // namespace maskerade
