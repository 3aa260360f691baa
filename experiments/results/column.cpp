#include "experiments/results/column.hpp"

#include <array>
#include <charconv>
#include <cmath>

namespace maskerade {
namespace {

struct TextOfValue {
  std::string operator()(std::monostate) const { return ""; }
  std::string operator()(bool value) const { return value ? "true" : "false"; }
  std::string operator()(std::int64_t value) const { return std::to_string(value); }
  std::string operator()(std::uint64_t value) const { return std::to_string(value); }
  std::string operator()(double value) const {
    if (std::isnan(value)) return "NaN";
    std::array<char, 32> text;
    const auto end = std::to_chars(text.data(), text.data() + text.size(), value).ptr;
    return {text.data(), end};
  }
  std::string operator()(const std::string& value) const { return value; }
};

}  // namespace

std::string text_of(const ColumnValue& value) { return std::visit(TextOfValue(), value); }

std::string_view name_of(ColumnType type) noexcept {
  switch (type) {
    case ColumnType::kText:
      return "text";
    case ColumnType::kBoolean:
      return "boolean";
    case ColumnType::kInteger:
      return "integer";
    case ColumnType::kUnsigned:
      return "unsigned";
    case ColumnType::kReal:
      return "real";
    case ColumnType::kJson:
      return "JSON";
  }
  return "";
}

}  // namespace maskerade
