#include "experiments/match/parameter_range.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "framework/sdk/exact_share.hpp"

namespace maskerade {
namespace {

constexpr std::int64_t kPercent = sdk::kHundredPercent / 100;
constexpr std::int64_t kNumberSteps = 1'000'000;  // of the range of a number

bool is_excluded(const maskerade_parameter& parameter, std::uint32_t end) {
  return (parameter.flags & end) != 0;
}

// Returns the whole numbers n in [0, last] for which the parameter accepts the value n / per_unit;
// at least one number, even if it accepts none.
SearchRange multiples_in(const maskerade_parameter& parameter, double per_unit, std::int64_t last) {
  SearchRange range{0, last};
  const double low = parameter.minimum * per_unit;
  const double high = parameter.maximum * per_unit;
  if (low >= 0) {
    range.first = static_cast<std::int64_t>(std::ceil(std::min(low, 0x1p62)));
    if (is_excluded(parameter, MASKERADE_MINIMUM_EXCLUDED) &&
        static_cast<double>(range.first) == low) {
      ++range.first;
    }
  }
  if (high < static_cast<double>(last) ||
      (high == static_cast<double>(last) && is_excluded(parameter, MASKERADE_MAXIMUM_EXCLUDED))) {
    range.last = static_cast<std::int64_t>(std::floor(high));
    if (is_excluded(parameter, MASKERADE_MAXIMUM_EXCLUDED) &&
        static_cast<double>(range.last) == high) {
      --range.last;
    }
  }
  range.last = std::max(range.first, range.last);
  return range;
}

// The text of a number of steps of a share: "12.5%" for 12,500,000.
std::string percentage(std::int64_t steps) {
  std::string text = fmt::format("{}.{:06}", steps / kPercent, steps % kPercent);
  text.erase(text.find_last_not_of('0') + 1);
  if (text.ends_with('.')) text.pop_back();
  return text + "%";
}

}  // namespace

std::string search_obstacle(const maskerade_parameter& parameter) {
  if ((parameter.flags & MASKERADE_LIST) != 0) return "takes a list";
  switch (parameter.unit) {
    case MASKERADE_UNIT_TOKENS:
    case MASKERADE_UNIT_SHARE:
    case MASKERADE_UNIT_COUNT:
    case MASKERADE_UNIT_BLOCKS:
      return "";
    case MASKERADE_UNIT_NUMBER:
      return std::isfinite(parameter.minimum) && std::isfinite(parameter.maximum)
                 ? ""
                 : "is a number without a least and a greatest value";
    default:
      return fmt::format("is a {}", unit_name(parameter.unit));
  }
}

ParameterRange::ParameterRange(const maskerade_parameter& parameter,
                               const maskerade_value& given,
                               std::int64_t key_len) {
  switch (parameter.unit) {
    case MASKERADE_UNIT_TOKENS:
      if (given.basis == MASKERADE_TOKENS_OF_VISIBLE) {
        form_ = Form::kPercentageOfVisible;
        steps_ = {parameter.minimum > 0 ? 1 : 0, sdk::kHundredPercent};
      } else {
        steps_ = multiples_in(parameter, 1, key_len);
        // 2^62 stands for no maximum, as for counts.
        if (parameter.maximum < 0x1p62) {
          steps_.limit =
              multiples_in(parameter, 1, static_cast<std::int64_t>(parameter.maximum)).last;
        }
      }
      break;
    case MASKERADE_UNIT_SHARE:
      form_ = Form::kPercentage;
      steps_ = multiples_in(parameter, sdk::kHundredPercent, sdk::kHundredPercent);
      break;
    case MASKERADE_UNIT_NUMBER:
      form_ = Form::kNumber;
      minimum_ = parameter.minimum;
      width_ = parameter.maximum - parameter.minimum;
      steps_ = {is_excluded(parameter, MASKERADE_MINIMUM_EXCLUDED) ? 1 : 0,
                kNumberSteps - (is_excluded(parameter, MASKERADE_MAXIMUM_EXCLUDED) ? 1 : 0)};
      break;
    default:
      steps_ = multiples_in(
          parameter, 1,
          parameter.maximum < 0x1p62 ? static_cast<std::int64_t>(parameter.maximum) : key_len);
      steps_.doubles = true;
  }
}

std::string ParameterRange::text(std::int64_t step) const {
  switch (form_) {
    case Form::kCount:
      return fmt::to_string(step);
    case Form::kPercentage:
      return percentage(step);
    case Form::kPercentageOfVisible:
      return percentage(step) + " of visible";
    case Form::kNumber:
      return fmt::format("{:.10g}",
                         minimum_ + width_ * static_cast<double>(step) / double{kNumberSteps});
  }
  return "";
}

}  // namespace maskerade
