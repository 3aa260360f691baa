#include "framework/plugin/parameters.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <limits>
#include <optional>

#include "framework/base/error.hpp"
#include "framework/base/nearest_name.hpp"
#include "framework/sdk/exact_share.hpp"

namespace maskerade {
namespace {

constexpr std::size_t kPercentDecimals = 6;

bool all_digits(std::string_view text) {
  return !text.empty() && text.find_first_not_of("0123456789") == std::string_view::npos;
}

std::optional<std::int64_t> parse_whole(std::string_view text) {
  const std::string_view digits = text.starts_with('-') ? text.substr(1) : text;
  if (!all_digits(digits) || (digits.size() > 1 && digits.front() == '0')) return std::nullopt;
  std::int64_t value = 0;
  const auto [end, status] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (status != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::optional<double> parse_real(std::string_view text) {
  double value = 0;
  const auto [end, status] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (status != std::errc() || end != text.data() + text.size() || !std::isfinite(value)) {
    return std::nullopt;
  }
  return value;
}

// "12.5%" in hundred-millionths, exactly; nullopt unless it is a percentage of at most six
// decimals.
std::optional<std::int64_t> parse_percentage(std::string_view text) {
  if (!text.ends_with('%')) return std::nullopt;
  text.remove_suffix(1);
  const std::size_t point = text.find('.');
  const std::string_view whole = text.substr(0, point);
  std::string decimals(point == std::string_view::npos ? "" : text.substr(point + 1));
  if (!all_digits(whole) || whole.size() > 9 || decimals.size() > kPercentDecimals ||
      (point != std::string_view::npos && !all_digits(decimals))) {
    return std::nullopt;
  }
  decimals.append(kPercentDecimals - decimals.size(), '0');
  std::int64_t units = 0;
  for (const char digit : std::string(whole) + decimals) units = units * 10 + (digit - '0');
  return units;
}

// The name of a parameter as messages quote it.
std::string named(const maskerade_parameter& parameter) {
  return fmt::format("\"{}\"", parameter.name);
}

[[noreturn]] void refuse(const maskerade_parameter& parameter, const std::string& message) {
  throw ParameterError(parameter.name, named(parameter) + " " + message);
}

void check_range(const maskerade_parameter& parameter, double number, const std::string& text) {
  const bool low = (parameter.flags & MASKERADE_MINIMUM_EXCLUDED) != 0
                       ? number > parameter.minimum
                       : number >= parameter.minimum;
  const bool high = (parameter.flags & MASKERADE_MAXIMUM_EXCLUDED) != 0
                        ? number < parameter.maximum
                        : number <= parameter.maximum;
  if (!low || !high) {
    refuse(parameter, fmt::format("is {}; it must be {}", text, range_text(parameter)));
  }
}

maskerade_value parse_tokens(const maskerade_parameter& parameter, const std::string& text) {
  maskerade_value value{};
  std::string_view amount = text;
  constexpr std::string_view kOfVisible = " of visible";
  constexpr std::string_view kOfKeys = " of keys";
  value.basis = MASKERADE_TOKENS_OF_KEYS;
  if (amount.ends_with(kOfVisible)) {
    value.basis = MASKERADE_TOKENS_OF_VISIBLE;
    amount.remove_suffix(kOfVisible.size());
  } else if (amount.ends_with(kOfKeys)) {
    amount.remove_suffix(kOfKeys.size());
  }
  if (const auto share = parse_percentage(amount)) {
    if (*share > sdk::kHundredPercent)
      refuse(parameter, fmt::format("is {}; at most 100% can be taken", text));
    if (*share == 0 && parameter.minimum > 0) check_range(parameter, 0, text);
    value.integer = *share;
    value.number = static_cast<double>(*share) / sdk::kHundredPercent;
    return value;
  }
  if (const auto whole = parse_whole(text)) {
    value.basis = MASKERADE_TOKENS_COUNT;
    value.integer = *whole;
    value.number = static_cast<double>(*whole);
    check_range(parameter, value.number, text);
    return value;
  }
  if (const auto real = parse_real(amount)) {
    if (*real >= 0x1p63) {
      check_range(parameter, *real, text);
      refuse(parameter, fmt::format("is {}, more than any key_len", text));
    }
    const std::string percentage = fmt::format("{:.6g}%", *real * 100);
    if (const auto share = parse_percentage(percentage); share && *share <= sdk::kHundredPercent) {
      refuse(parameter,
             fmt::format("is {}, a bare number: write {} for that share of key_len, or a whole "
                         "number of tokens",
                         text, percentage));
    }
  }
  refuse(
      parameter,
      fmt::format("is \"{}\"; it takes a whole number of tokens (128) or a percentage of key_len "
                  "with at most six decimals (2%, 12.5%)",
                  text));
}

maskerade_value parse_share(const maskerade_parameter& parameter, const std::string& text) {
  maskerade_value value{};
  if (const auto percentage = parse_percentage(text)) {
    value.integer = *percentage;
    value.number = static_cast<double>(*percentage) / sdk::kHundredPercent;
  } else if (const auto real = parse_real(text)) {
    value.number = *real;
  } else {
    refuse(parameter, fmt::format("is \"{}\"; it takes a share: 0.05 or 5%", text));
  }
  check_range(parameter, value.number, text);
  return value;
}

maskerade_value parse_count(const maskerade_parameter& parameter, const std::string& text) {
  maskerade_value value{};
  const auto whole = parse_whole(text);
  if (!whole) refuse(parameter, fmt::format("is \"{}\"; it takes a whole number", text));
  value.integer = *whole;
  value.number = static_cast<double>(*whole);
  check_range(parameter, value.number, text);
  return value;
}

maskerade_value parse_number(const maskerade_parameter& parameter, const std::string& text) {
  maskerade_value value{};
  const auto real = parse_real(text);
  if (!real) refuse(parameter, fmt::format("is \"{}\"; it takes a number", text));
  value.number = *real;
  check_range(parameter, value.number, text);
  return value;
}

std::vector<std::string> choice_names(const maskerade_parameter& parameter) {
  std::vector<std::string> names;
  for (const char* const* name = parameter.choices; *name != nullptr; ++name) {
    names.emplace_back(*name);
  }
  return names;
}

maskerade_value parse_choice(const maskerade_parameter& parameter, const std::string& text) {
  maskerade_value value{};
  for (const std::string& name : choice_names(parameter)) {
    if (name == text) return value;
    ++value.integer;
  }
  refuse(parameter, fmt::format("is \"{}\"; it must be {}", text, range_text(parameter)));
}

maskerade_value parse_file(const maskerade_parameter& parameter, const std::string& text) {
  const bool optional = parameter.default_value != nullptr && parameter.default_value[0] == '\0';
  if (optional && text.empty()) return {};
  std::error_code ignored;
  if (!std::filesystem::is_regular_file(text, ignored) || !std::ifstream(text)) {
    refuse(parameter, fmt::format("is \"{}\", which is not a file that can be read", text));
  }
  return {};
}

maskerade_value parse_value(const maskerade_parameter& parameter, const std::string& text) {
  switch (parameter.unit) {
    case MASKERADE_UNIT_TOKENS:
      return parse_tokens(parameter, text);
    case MASKERADE_UNIT_SHARE:
      return parse_share(parameter, text);
    case MASKERADE_UNIT_COUNT:
    case MASKERADE_UNIT_BLOCKS:
      return parse_count(parameter, text);
    case MASKERADE_UNIT_CHOICE:
      return parse_choice(parameter, text);
    case MASKERADE_UNIT_FILE:
      return parse_file(parameter, text);
    case MASKERADE_UNIT_TEXT:
      return {};
    default:
      return parse_number(parameter, text);
  }
}

// The value of a parameter as one text: its only one, or for a list "[1, 2, 4]".
std::string joined(const std::vector<std::string>& values, bool is_list) {
  if (!is_list) return values.front();
  return fmt::format("[{}]", fmt::join(values, ", "));
}

// The value given for `parameter`, number `index` of the table; nullptr when there is none.
const GivenParameter* find_given(const std::vector<GivenParameter>& given,
                                 const maskerade_parameter& parameter,
                                 std::size_t index) {
  const GivenParameter* found = nullptr;
  for (const GivenParameter& candidate : given) {
    if (candidate.name != parameter.name && !(index == 0 && candidate.name.empty())) continue;
    if (found != nullptr) {
      throw ParameterError(candidate.name, named(parameter) + " is given twice; give it once");
    }
    found = &candidate;
  }
  return found;
}

bool differs_from_default(const maskerade_parameter& parameter, const std::string& resolved) {
  return parameter.default_value == nullptr || resolved != parameter.default_value;
}

// The values of the parameters flagged MASKERADE_POPULATION_BEGIN and _END_OFFSET; nullptr for a
// flag that no parameter has.
std::pair<const maskerade_value*, const maskerade_value*> population_offsets(
    const maskerade_masker_descriptor& masker, const Arguments& arguments) {
  std::pair<const maskerade_value*, const maskerade_value*> offsets{nullptr, nullptr};
  for (std::size_t i = 0; i < masker.parameter_count; ++i) {
    const std::uint32_t flags = masker.parameters[i].flags;
    const maskerade_value* value = arguments.view()[i].values;
    if ((flags & MASKERADE_POPULATION_BEGIN) != 0) offsets.first = value;
    if ((flags & MASKERADE_POPULATION_END_OFFSET) != 0) offsets.second = value;
  }
  return offsets;
}

}  // namespace

bool samples(const maskerade_masker_descriptor& masker, const Arguments& arguments) {
  if ((masker.traits & MASKERADE_TRAIT_SAMPLES) == 0) return false;
  bool conditional = false;
  for (std::size_t i = 0; i < masker.parameter_count; ++i) {
    const maskerade_parameter& parameter = masker.parameters[i];
    if ((parameter.flags & MASKERADE_MAKES_SAMPLER) == 0) continue;
    conditional = true;
    if (differs_from_default(parameter, arguments.resolved()[i].second)) return true;
  }
  return !conditional;
}

std::optional<Guarantee> stated_guarantee(const maskerade_masker_descriptor& masker,
                                          const Arguments& arguments) {
  std::optional<double> epsilon;
  std::optional<double> delta;
  for (std::size_t i = 0; i < masker.parameter_count; ++i) {
    const maskerade_parameter& parameter = masker.parameters[i];
    const double number = arguments.view()[i].values[0].number;
    if ((parameter.flags & MASKERADE_STATES_EPSILON) != 0) epsilon = number;
    if ((parameter.flags & MASKERADE_STATES_DELTA) != 0) delta = number;
    if ((parameter.flags & MASKERADE_WAIVES_GUARANTEE) != 0 &&
        differs_from_default(parameter, arguments.resolved()[i].second)) {
      return std::nullopt;
    }
  }
  if (!epsilon || !delta) return std::nullopt;
  return Guarantee{*epsilon, *delta};
}

std::optional<KeyPopulation> population_of(const maskerade_masker_descriptor& masker,
                                           const Arguments& arguments,
                                           std::int64_t key_len) {
  const auto [begin, end_offset] = population_offsets(masker, arguments);
  if (begin == nullptr && end_offset == nullptr) return std::nullopt;
  const auto resolve = [&](const maskerade_value* value) -> std::optional<std::int64_t> {
    if (value == nullptr) return 0;
    if (value->basis == MASKERADE_TOKENS_OF_VISIBLE) return std::nullopt;
    return maskerade_tokens_of(value, key_len, key_len);
  };
  const std::optional<std::int64_t> first = resolve(begin);
  const std::optional<std::int64_t> left_out = resolve(end_offset);
  if (!first || !left_out) return std::nullopt;
  const std::int64_t from = std::min(*first, key_len);
  return KeyPopulation{from, std::max(from, key_len - std::min(*left_out, key_len))};
}

bool can_be_disjoint(const maskerade_masker_descriptor& a,
                     const Arguments& arguments_of_a,
                     const maskerade_masker_descriptor& b,
                     const Arguments& arguments_of_b) {
  if (!population_of(a, arguments_of_a, 1) || !population_of(b, arguments_of_b, 1)) return false;
  const auto is_zero = [](const maskerade_value* value) {
    return value == nullptr || value->integer == 0;
  };
  const auto [begin_a, end_a] = population_offsets(a, arguments_of_a);
  const auto [begin_b, end_b] = population_offsets(b, arguments_of_b);
  return !(is_zero(begin_a) && is_zero(begin_b)) && !(is_zero(end_a) && is_zero(end_b));
}

std::vector<std::string> files_of(const maskerade_parameter& parameter,
                                  const maskerade_argument& argument) {
  std::vector<std::string> files;
  if (parameter.unit != MASKERADE_UNIT_FILE) return files;
  for (std::size_t i = 0; i < argument.count; ++i) {
    if (argument.values[i].text[0] != '\0') files.emplace_back(argument.values[i].text);
  }
  return files;
}

std::string_view unit_name(std::uint32_t unit) noexcept {
  switch (unit) {
    case MASKERADE_UNIT_TOKENS:
      return "tokens";
    case MASKERADE_UNIT_SHARE:
      return "share";
    case MASKERADE_UNIT_COUNT:
      return "count";
    case MASKERADE_UNIT_BLOCKS:
      return "blocks";
    case MASKERADE_UNIT_NUMBER:
      return "number";
    case MASKERADE_UNIT_CHOICE:
      return "choice";
    case MASKERADE_UNIT_FILE:
      return "file";
    case MASKERADE_UNIT_TEXT:
      return "text";
    default:
      return "unknown";
  }
}

std::string range_text(const maskerade_parameter& parameter) {
  if (parameter.unit == MASKERADE_UNIT_CHOICE) {
    return fmt::format("{}", fmt::join(choice_names(parameter), " | "));
  }
  if (parameter.unit == MASKERADE_UNIT_FILE) return "a readable file";
  if (parameter.unit == MASKERADE_UNIT_TEXT) return "any text";
  const bool above = (parameter.flags & MASKERADE_MINIMUM_EXCLUDED) != 0;
  const bool below = (parameter.flags & MASKERADE_MAXIMUM_EXCLUDED) != 0;
  const bool low = std::isfinite(parameter.minimum);
  const bool high = std::isfinite(parameter.maximum);
  if (low && high) {
    return fmt::format("in {}{}, {}{}", above ? "(" : "[", parameter.minimum, parameter.maximum,
                       below ? ")" : "]");
  }
  if (low) return fmt::format("{} {}", above ? ">" : ">=", parameter.minimum);
  if (high) return fmt::format("{} {}", below ? "<" : "<=", parameter.maximum);
  return "any number";
}

Arguments bind_arguments(const maskerade_masker_descriptor& masker,
                         const std::vector<GivenParameter>& given) {
  std::vector<std::string> names;
  for (std::size_t i = 0; i < masker.parameter_count; ++i) {
    names.emplace_back(masker.parameters[i].name);
  }
  for (const GivenParameter& candidate : given) {
    if (names.empty()) {
      throw ParameterError(candidate.name, fmt::format("\"{}\" takes no parameters", masker.id));
    }
    if (!candidate.name.empty() &&
        std::find(names.begin(), names.end(), candidate.name) == names.end()) {
      throw ParameterError(
          candidate.name, fmt::format("\"{}\" has no parameter \"{}\"{}", masker.id, candidate.name,
                                      name_hint(candidate.name, names)));
    }
  }

  Arguments bound;
  for (std::size_t i = 0; i < masker.parameter_count; ++i) {
    const maskerade_parameter& parameter = masker.parameters[i];
    const bool takes_list = (parameter.flags & MASKERADE_LIST) != 0;
    const GivenParameter* source = find_given(given, parameter, i);
    std::vector<std::string> texts;
    if (source != nullptr) {
      if (source->is_list && !takes_list) refuse(parameter, "takes one value, not a list");
      if (source->values.empty()) refuse(parameter, "is empty; give it a value");
      texts = source->values;
    } else if (parameter.default_value != nullptr) {
      texts = {parameter.default_value};
    } else {
      throw ParameterError("",
                           fmt::format("\"{}\" needs \"{}\" ({}): {}", masker.id, parameter.name,
                                       unit_name(parameter.unit), parameter.doc));
    }
    std::vector<maskerade_value>& values = bound.values_.emplace_back();
    for (const std::string& text : texts) {
      maskerade_value value = parse_value(parameter, text);
      value.text = bound.texts_.emplace_back(text).c_str();
      values.push_back(value);
    }
    bound.arguments_.push_back({values.data(), values.size()});
    bound.resolved_.emplace_back(parameter.name, joined(texts, takes_list));
  }
  return bound;
}

Arguments rebind_argument(const maskerade_masker_descriptor& masker,
                          const Arguments& arguments,
                          std::size_t parameter,
                          const std::string& text) {
  std::vector<GivenParameter> given;
  for (std::size_t i = 0; i < masker.parameter_count; ++i) {
    GivenParameter& same = given.emplace_back();
    same.name = masker.parameters[i].name;
    same.is_list = i != parameter && (masker.parameters[i].flags & MASKERADE_LIST) != 0;
    if (i == parameter) {
      same.values = {text};
      continue;
    }
    const maskerade_argument& argument = arguments.view()[i];
    for (std::size_t j = 0; j < argument.count; ++j)
      same.values.emplace_back(argument.values[j].text);
  }
  return bind_arguments(masker, given);
}

}  // namespace maskerade
