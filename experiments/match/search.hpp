#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string_view>

namespace maskerade {

// The whole numbers that a search may try.
struct SearchRange {
  std::int64_t first = 0;
  std::int64_t last = 0;  // >= first
  // Whether the far end is found by doubling the distance from `first`, because a probe at `last`
  // may cost far more than one near the target.
  bool doubles = false;
};

enum class MatchStatus {
  kMatched,      // reached within the tolerance
  kNearest,      // at a step of the curve, or between neighbours of the range: the nearer side
  kUnreachable,  // no two probes had the target between them: the nearest probe
};
std::string_view name_of(MatchStatus status) noexcept;  // "matched", "nearest", "unreachable"
std::optional<MatchStatus> parse_match_status(std::string_view name) noexcept;

struct SearchResult {
  std::int64_t step = 0;  // the probe whose value is nearest to the target; the first of equal ones
  double reached = 0;     // its value
  double least = 0;       // value of a probe
  double greatest = 0;
  std::int64_t probes = 0;
  MatchStatus status = MatchStatus::kUnreachable;
};

// The value at a step; nullopt: there is none, the step is refused.
using SearchProbe = std::function<std::optional<double>(std::int64_t)>;

// Looks for a number whose probe is within tolerance * target of target, by bisection between two
// probes on either side of the target: first the ends, then in turn where a straight line through
// the values of the two would meet the target, and half way between them. Rising and falling
// probes are alike. Where probes are noisy or not monotone the search still ends, after at most two
// probes per halving, and gives the nearest of all. It ends too where ten probes in a row have
// found nothing but the values on either side: a step of the curve. An end that is refused moves
// inwards by 1, 2, 4,
// ... Requires a target above 0. Throws Error when a probe is NaN, every end or one between two
// that have values is refused, and what the probe throws.
SearchResult search(const SearchRange& range,
                    double target,
                    double tolerance,
                    const SearchProbe& probe);

}  // namespace maskerade
