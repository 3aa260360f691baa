#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "experiments/check/questions.hpp"
#include "framework/base/error.hpp"
#include "framework/plugin/parameters.hpp"

namespace maskerade::check {
namespace {

// What stands for no bound.
constexpr double kFarTokens = 1e12;
constexpr double kFarCount = 1 << 20;
constexpr double kFarNumber = 1e30;
// Beyond it a bound is as good as none: whole numbers have 64 bits.
constexpr double kLargestWhole = 9e18;

bool is_whole(std::uint32_t unit) {
  return unit == MASKERADE_UNIT_TOKENS || unit == MASKERADE_UNIT_COUNT ||
         unit == MASKERADE_UNIT_BLOCKS;
}

// The values of a parameter that are tried.
struct Values {
  std::vector<std::string> accepted;  // by the table
  std::vector<std::string> refused;   // likewise
  std::string far;                    // one of those accepted that stands for no bound; "" none
};

void add_whole_bounds(const maskerade_parameter& row, Values& values) {
  const auto text = [](double number) { return fmt::to_string(static_cast<std::int64_t>(number)); };
  const bool above = (row.flags & MASKERADE_MINIMUM_EXCLUDED) != 0;
  const bool below = (row.flags & MASKERADE_MAXIMUM_EXCLUDED) != 0;
  const double least = above ? std::floor(row.minimum) + 1 : std::ceil(row.minimum);
  if (std::abs(least) < kLargestWhole) {
    values.accepted.push_back(text(least));
    values.refused.push_back(text(least - 1));
  }
  const double most = below ? std::ceil(row.maximum) - 1 : std::floor(row.maximum);
  if (std::abs(most) < kLargestWhole) {
    values.accepted.push_back(text(most));
    values.refused.push_back(text(most + 1));
  } else {
    values.far = text(row.unit == MASKERADE_UNIT_TOKENS ? kFarTokens : kFarCount);
    values.accepted.push_back(values.far);
  }
}

void add_real_bounds(const maskerade_parameter& row, Values& values) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  const auto text = [](double number) { return fmt::format("{}", number); };
  // A masker may compute in float32: just inside is the next number of that.
  const auto inside = [](double bound, double toward) {
    return double{std::nextafter(static_cast<float>(bound), static_cast<float>(toward))};
  };
  if (std::isfinite(row.minimum)) {
    const bool is_excluded = (row.flags & MASKERADE_MINIMUM_EXCLUDED) != 0;
    values.accepted.push_back(text(is_excluded ? inside(row.minimum, kInfinity) : row.minimum));
    values.refused.push_back(
        text(is_excluded ? row.minimum : std::nextafter(row.minimum, -kInfinity)));
  } else {
    values.accepted.push_back(text(-kFarNumber));
  }
  if (std::isfinite(row.maximum)) {
    const bool is_excluded = (row.flags & MASKERADE_MAXIMUM_EXCLUDED) != 0;
    values.accepted.push_back(text(is_excluded ? inside(row.maximum, -kInfinity) : row.maximum));
    values.refused.push_back(
        text(is_excluded ? row.maximum : std::nextafter(row.maximum, kInfinity)));
  } else {
    values.accepted.push_back(text(kFarNumber));
  }
}

Values values_of(const maskerade_parameter& row) {
  Values values;
  if (row.unit == MASKERADE_UNIT_CHOICE) {
    for (const char* const* choice = row.choices; *choice != nullptr; ++choice) {
      values.accepted.emplace_back(*choice);
    }
    values.refused.emplace_back("no_such_choice");
  } else if (row.unit == MASKERADE_UNIT_FILE) {
    values.refused.emplace_back("/no/such/file");
  } else if (is_whole(row.unit)) {
    add_whole_bounds(row, values);
    values.refused.emplace_back("many");
    values.refused.emplace_back("0.5");
    if (row.unit == MASKERADE_UNIT_TOKENS) {
      values.accepted.emplace_back("100%");
      values.accepted.emplace_back("100% of visible");
      values.refused.emplace_back("101%");
      (row.minimum > 0 ? values.refused : values.accepted).emplace_back("0%");
    }
  } else if (row.unit != MASKERADE_UNIT_TEXT) {
    add_real_bounds(row, values);
    values.refused.emplace_back("much");
  }
  if (row.default_value != nullptr && row.default_value[0] != '\0') {
    values.accepted.emplace_back(row.default_value);
  }
  std::vector<std::string> once;
  for (const std::string& value : values.accepted) {
    if (std::find(once.begin(), once.end(), value) == once.end()) once.push_back(value);
  }
  values.accepted = once;
  return values;
}

std::string joined(const std::vector<std::string>& texts) {
  std::string all;
  for (const std::string& text : texts) all += (all.empty() ? "" : ", ") + text;
  return all;
}

// The values that the table should refuse and does not.
std::vector<std::string> taken_beyond(MaskerInHand& masker,
                                      const maskerade_parameter& row,
                                      const Values& values) {
  std::vector<std::string> taken;
  const maskerade_masker_descriptor& descriptor = masker.type()->descriptor();
  maskerade_masker_descriptor only = descriptor;
  only.parameters = &row;
  only.parameter_count = 1;
  for (const std::string& value : values.refused) {
    try {
      bind_arguments(only, {{.name = row.name, .values = {value}}});
      taken.push_back(value);
    } catch (const ParameterError&) {
    }
  }
  return taken;
}

// Why the masker refuses what is given on every small problem; "" it selects on one, or breaks a
// rule of errors, which another question tells.
std::string refusal_of(MaskerInHand& masker, const stress::GivenMasker& given) {
  std::string refusal;
  for (const rules::ProblemSpec& problem : masker.small_problems()) {
    const std::string text = masker.attempt(given, problem).text;
    if (text.empty()) return "";
    if (!breaks_rule_of_errors(text)) refusal = text;
  }
  return refusal;
}

// Whether the masker selects with this value of a parameter once another one has another value.
bool selects_beside_another(MaskerInHand& masker, const GivenParameter& given) {
  const maskerade_masker_descriptor& descriptor = masker.type()->descriptor();
  for (std::size_t i = 0; i < descriptor.parameter_count; ++i) {
    const maskerade_parameter& other = descriptor.parameters[i];
    if (other.name == given.name || masker.is_given(other.name) ||
        (other.flags & MASKERADE_LIST) != 0) {
      continue;
    }
    for (const std::string& value : values_of(other).accepted) {
      stress::GivenMasker both = masker.usual_with({.name = other.name, .values = {value}});
      std::erase_if(both.given, [&](const GivenParameter& one) { return one.name == given.name; });
      both.given.push_back(given);
      if (refusal_of(masker, both).empty()) return true;
    }
  }
  return false;
}

Finding ask_for_parameter(MaskerInHand& masker, const maskerade_parameter& row) {
  Values values = values_of(row);
  const std::vector<std::string> taken = taken_beyond(masker, row, values);
  if (!taken.empty()) {
    return {VerdictKind::kFailed,
            fmt::format("its table takes {}, and says {}", joined(taken), range_text(row))};
  }
  const std::string refused = values.refused.empty() ? "" : "refuses " + joined(values.refused);
  if (!masker.why_not().empty()) {
    return {VerdictKind::kNotAsked, fmt::format("{}{}no value is tried, since {}", refused,
                                                refused.empty() ? "" : "; ", masker.why_not())};
  }
  if (!masker.why_idle().empty()) {
    return {VerdictKind::kNotAsked, fmt::format("{}{}it does not select with its usual arguments",
                                                refused, refused.empty() ? "" : "; ")};
  }
  // Files and texts are tried as they are given.
  if (row.unit == MASKERADE_UNIT_FILE || row.unit == MASKERADE_UNIT_TEXT) {
    values.accepted.clear();
    for (const GivenParameter& one : masker.options().given.parameters) {
      if (one.name == row.name) values.accepted = one.values;
    }
  }
  std::vector<std::string> failures;
  std::string first_refusal;
  std::string remarks;
  for (const std::string& value : values.accepted) {
    const GivenParameter given{
        .name = row.name, .values = {value}, .is_list = (row.flags & MASKERADE_LIST) != 0};
    const std::string refusal = refusal_of(masker, masker.usual_with(given));
    if (refusal.empty()) continue;
    if (value == values.far) {
      remarks = fmt::format("; no upper bound is stated, and {} is refused with a text", value);
    } else if (!selects_beside_another(masker, given)) {
      failures.push_back(value);
      first_refusal = first_refusal.empty() ? refusal : first_refusal;
    }
  }
  const bool reads_file = masker.reads_given_file();
  if (!failures.empty() && reads_file) {
    remarks += fmt::format("; with this file {} is refused: {}", joined(failures), first_refusal);
  }
  if (!failures.empty() && !reads_file) {
    return {VerdictKind::kWarning,
            fmt::format("the table takes {}, which the masker refuses on every problem: {}; narrow "
                        "the range, or say so in the doc",
                        joined(failures), first_refusal)};
  }
  std::string reason = values.accepted.empty() ? "" : "selects with " + joined(values.accepted);
  if (!refused.empty()) reason += (reason.empty() ? "" : "; ") + refused;
  return {VerdictKind::kOk, (reason.empty() ? "takes any text" : reason) + remarks};
}

}  // namespace

void add_parameter_questions(MaskerInHand& masker, std::vector<Question>& questions) {
  const maskerade_masker_descriptor& descriptor = masker.type()->descriptor();
  for (std::size_t i = 0; i < descriptor.parameter_count; ++i) {
    const maskerade_parameter& row = descriptor.parameters[i];
    questions.push_back({fmt::format("parameter {}", row.name),
                         fmt::format("masker_abi.h: maskerade_parameter: {}, {}",
                                     unit_name(row.unit), range_text(row)),
                         [&masker, &row] { return ask_for_parameter(masker, row); }});
  }
}

}  // namespace maskerade::check
