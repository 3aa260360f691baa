#include "experiments/match/match_spec.hpp"

#include <array>

namespace maskerade {

std::string_view name_of(MatchQuantity quantity) noexcept {
  switch (quantity) {
    case MatchQuantity::kDensity:
      return "density";
    case MatchQuantity::kRelL2Error:
      return "rel_l2_error";
    case MatchQuantity::kAttentionRecall:
      return "attention_recall";
    case MatchQuantity::kTotalBytes:
      return "total_bytes";
    case MatchQuantity::kTotalMs:
      return "total_ms";
  }
  return "";
}

std::optional<MatchQuantity> parse_match_quantity(std::string_view name) noexcept {
  constexpr std::array kAll = {MatchQuantity::kDensity, MatchQuantity::kRelL2Error,
                               MatchQuantity::kAttentionRecall, MatchQuantity::kTotalBytes,
                               MatchQuantity::kTotalMs};
  for (const MatchQuantity quantity : kAll) {
    if (name_of(quantity) == name) return quantity;
  }
  return std::nullopt;
}

std::string_view name_of(MissRule rule) noexcept {
  return rule == MissRule::kFail ? "fail" : "keep";
}

std::optional<MissRule> parse_miss_rule(std::string_view name) noexcept {
  for (const MissRule rule : {MissRule::kKeep, MissRule::kFail}) {
    if (name_of(rule) == name) return rule;
  }
  return std::nullopt;
}

}  // namespace maskerade
