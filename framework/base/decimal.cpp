#include "framework/base/decimal.hpp"

#include <charconv>
#include <cmath>
#include <cstddef>
#include <limits>
#include <system_error>

namespace maskerade {
namespace {

bool is_digit(char c) noexcept { return c >= '0' && c <= '9'; }

}  // namespace

// [-] digits [. digits] [e [+-] digits]
std::optional<double> parse_decimal(std::string_view text) noexcept {
  std::size_t i = 0;
  const auto skip_digits = [&] {
    const std::size_t begin = i;
    while (i < text.size() && is_digit(text[i])) ++i;
    return i - begin;
  };
  if (i < text.size() && text[i] == '-') ++i;
  const std::size_t whole = i;
  const std::size_t whole_digits = skip_digits();
  if (whole_digits == 0 || (whole_digits > 1 && text[whole] == '0')) return std::nullopt;
  if (i < text.size() && text[i] == '.') {
    ++i;
    if (skip_digits() == 0) return std::nullopt;
  }
  if (i < text.size() && (text[i] == 'e' || text[i] == 'E')) {
    ++i;
    if (i < text.size() && (text[i] == '+' || text[i] == '-')) ++i;
    if (skip_digits() == 0) return std::nullopt;
  }
  if (i != text.size()) return std::nullopt;
  double value = 0;
  const auto result = std::from_chars(text.data(), text.data() + text.size(), value);
  if (result.ec != std::errc{} || !std::isfinite(value)) return std::nullopt;
  return value;
}

std::optional<float> parse_positive_float(std::string_view text) noexcept {
  const std::optional<double> value = parse_decimal(text);
  if (!value || *value > std::numeric_limits<float>::max()) return std::nullopt;
  const auto number = static_cast<float>(*value);
  return number > 0 ? std::optional(number) : std::nullopt;
}

}  // namespace maskerade
