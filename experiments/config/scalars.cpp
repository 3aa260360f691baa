#include "experiments/config/scalars.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>
#include <optional>
#include <string_view>

#include "framework/base/decimal.hpp"
#include "framework/base/nearest_name.hpp"

namespace maskerade {
namespace {

bool is_digit(char c) noexcept { return c >= '0' && c <= '9'; }

std::optional<std::uint64_t> parse_whole(std::string_view text) noexcept {
  if (text.empty() || !std::all_of(text.begin(), text.end(), is_digit)) return std::nullopt;
  if (text.size() > 1 && text[0] == '0') return std::nullopt;
  std::uint64_t value = 0;
  const auto result = std::from_chars(text.data(), text.data() + text.size(), value);
  if (result.ec != std::errc{}) return std::nullopt;
  return value;
}

// The number before a suffix: 2 for "2%" with "%". nullopt: the text is not a number with the
// suffix.
std::optional<double> parse_with_suffix(std::string_view text, std::string_view suffix) noexcept {
  if (!text.ends_with(suffix)) return std::nullopt;
  return parse_decimal(text.substr(0, text.size() - suffix.size()));
}

[[noreturn]] void refuse(const YamlNode& node, const std::string& what, const std::string& form) {
  throw ConfigError(node.position, fmt::format("{} is {}; {}", what, node.describe(), form));
}

void refuse_quoted_number(const YamlNode& node, const std::string& what) {
  if (node.is_scalar() && node.quoted && is_number(node.text)) {
    refuse(node, what, fmt::format("a number is written without quotes: {}", node.text));
  }
}

bool is_plain(const YamlNode& node) noexcept { return node.is_scalar() && !node.quoted; }

}  // namespace

bool is_number(const std::string& text) noexcept { return parse_decimal(text).has_value(); }

std::int64_t read_whole(const YamlNode& node,
                        const std::string& what,
                        std::int64_t minimum,
                        std::int64_t maximum,
                        const std::string& otherwise) {
  refuse_quoted_number(node, what);
  const auto value = is_plain(node) ? parse_whole(node.text) : std::nullopt;
  if (!value || *value > static_cast<std::uint64_t>(maximum) ||
      static_cast<std::int64_t>(*value) < minimum) {
    refuse(node, what,
           fmt::format(
               "it must be a whole number between {} and {}, in digits without leading zeros{}",
               minimum, maximum, otherwise));
  }
  return static_cast<std::int64_t>(*value);
}

std::uint64_t read_seed(const YamlNode& node, const std::string& what) {
  refuse_quoted_number(node, what);
  const auto value = is_plain(node) ? parse_whole(node.text) : std::nullopt;
  if (!value) {
    refuse(
        node, what,
        "it must be a whole number between 0 and 18446744073709551615, in digits without leading "
        "zeros");
  }
  return *value;
}

double read_positive(const YamlNode& node, const std::string& what) {
  refuse_quoted_number(node, what);
  const auto value = is_plain(node) ? parse_decimal(node.text) : std::nullopt;
  if (!value || *value <= 0)
    refuse(node, what, "it must be a number above 0, such as 0.125 or 1e-5");
  return *value;
}

float read_scale(const YamlNode& node, const std::string& what) {
  refuse_quoted_number(node, what);
  const auto value = is_plain(node) ? parse_positive_float(node.text) : std::nullopt;
  if (!value) refuse(node, what, fmt::format("it must be {}", kPositiveFloatForm));
  return *value;
}

bool read_bool(const YamlNode& node, const std::string& what) {
  if (is_plain(node) && node.text == "true") return true;
  if (is_plain(node) && node.text == "false") return false;
  refuse(node, what, "it must be true or false");
}

std::string read_text(const YamlNode& node, const std::string& what) {
  if (!node.is_scalar() || node.text.empty()) refuse(node, what, "it must be a text");
  return node.text;
}

std::string read_choice(const YamlNode& node,
                        const std::string& what,
                        const std::vector<std::string>& names) {
  if (!node.is_scalar()) {
    refuse(node, what, fmt::format("it must be one of: {}", fmt::join(names, ", ")));
  }
  if (std::find(names.begin(), names.end(), node.text) == names.end()) {
    throw ConfigError(node.position, fmt::format("unknown {} \"{}\"{}", what, node.text,
                                                 name_hint(node.text, names)));
  }
  return node.text;
}

std::optional<std::vector<std::int64_t>> read_numbers_or_all(const YamlNode& node,
                                                             const std::string& what) {
  if (node.is_scalar() && node.text == "all") return std::nullopt;
  if (!node.is_list() || node.items.empty()) {
    throw ConfigError(node.position,
                      fmt::format("{0} is {1}; it must be a list of {0}, such as [1, 5], or all",
                                  what, node.is_list() ? "an empty list" : node.describe()));
  }
  std::vector<std::int64_t> numbers;
  for (const YamlNode& item : node.items) {
    const std::int64_t number = read_whole(item, what, 0, std::numeric_limits<std::int32_t>::max());
    if (std::find(numbers.begin(), numbers.end(), number) != numbers.end()) {
      throw ConfigError(item.position, fmt::format("{} lists {} twice", what, number));
    }
    numbers.push_back(number);
  }
  return numbers;
}

double read_share(const YamlNode& node, const std::string& what) {
  refuse_quoted_number(node, what);
  std::optional<double> value;
  if (node.is_scalar()) {
    value = parse_with_suffix(node.text, "%");
    if (value) {
      *value /= 100;
    } else {
      value = parse_decimal(node.text);
    }
  }
  if (!value || *value <= 0 || *value >= 1) {
    refuse(node, what, "it must be a share between 0 and 1, written 2% or 0.02");
  }
  return *value;
}

std::optional<double> parse_duration_ms(const std::string& text) {
  std::optional<double> value = parse_with_suffix(text, "ms");
  if (!value) {
    value = parse_with_suffix(text, "s");
    if (value) *value *= 1000;
  }
  if (!value || !std::isfinite(*value) || *value <= 0) return std::nullopt;
  return value;
}

double read_duration_ms(const YamlNode& node, const std::string& what) {
  const std::optional<double> value =
      node.is_scalar() ? parse_duration_ms(node.text) : std::nullopt;
  if (!value) {
    refuse(node, what, "it must be a time above 0 with its unit, written 2s or 500ms");
  }
  return *value;
}

std::int64_t read_memory_bytes(const YamlNode& node, const std::string& what) {
  std::optional<double> bytes;
  if (node.is_scalar()) {
    bytes = parse_with_suffix(node.text, "GB");
    if (bytes) {
      *bytes *= 1e9;
    } else {
      bytes = parse_with_suffix(node.text, "MB");
      if (bytes) *bytes *= 1e6;
    }
  }
  constexpr double kMostBytes = 1e18;
  if (!bytes || !(*bytes >= 1) || *bytes > kMostBytes) {
    refuse(node, what, "it must be an amount of memory with its unit, written 4GB or 500MB");
  }
  return static_cast<std::int64_t>(*bytes);
}

}  // namespace maskerade
