#include "experiments/report/match_text.hpp"

#include <fmt/format.h>

#include "experiments/report/number_text.hpp"

namespace maskerade {
namespace {

// The unit of a quantity, and what its numbers are multiplied by to have that unit.
struct QuantityUnit {
  const char* name;
  double factor;
};

QuantityUnit unit_of(MatchQuantity quantity) {
  switch (quantity) {
    case MatchQuantity::kTotalBytes:
      return {"bytes", 1};
    case MatchQuantity::kTotalMs:
      return {"ms", 1};
    default:
      return {"%", 100};
  }
}

bool has_ended(const CellResult& result) { return result.match && result.match->found; }

}  // namespace

bool missed_match(const CellResult& result) {
  return has_ended(result) && result.match->found->status != MatchStatus::kMatched;
}

bool is_unreachable(const CellResult& result) {
  return has_ended(result) && result.match->found->status == MatchStatus::kUnreachable;
}

std::string quantity_text(MatchQuantity quantity, double value) {
  const QuantityUnit unit = unit_of(quantity);
  return number_text(unit.factor * value) + " " + unit.name;
}

std::string target_text(const MatchFacts& match) {
  const QuantityUnit unit = unit_of(match.quantity);
  return short_number_text(unit.factor * match.target) + " " + unit.name;
}

std::string effort_text(std::int64_t probes, double search_ms) {
  return fmt::format("{} probes in {} ms, not counted", probes, milliseconds_text(search_ms));
}

std::string range_text(const MatchFacts& match) {
  return fmt::format("between {} and {}", quantity_text(match.quantity, match.found->least),
                     quantity_text(match.quantity, match.found->greatest));
}

std::string match_text(const MatchFacts& match) {
  const MatchOutcome& found = *match.found;
  const std::string reached = quantity_text(match.quantity, found.reached);
  const std::string place = fmt::format("at {} {}", match.parameter, found.value);
  const std::string effort = effort_text(found.probes, found.search_ms);
  switch (found.status) {
    case MatchStatus::kMatched:
      return fmt::format("matched: {} {} {} ({})", name_of(match.quantity), reached, place, effort);
    case MatchStatus::kNearest:
      return fmt::format("not matched: {} instead of {} ({}, nearest {}; {})", reached,
                         target_text(match), name_of(match.quantity), place, effort);
    case MatchStatus::kUnreachable:
      return fmt::format("unreachable: {} instead of {} ({}, {}, nearest {}; {})", reached,
                         target_text(match), name_of(match.quantity), range_text(match), place,
                         effort);
  }
  return "";
}

}  // namespace maskerade
