#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string_view>

namespace maskerade {

// The whole numbers, called steps, that a search may try.
struct SearchRange {
  std::int64_t first = 0;
  std::int64_t last = 0;  // >= first
  // Whether the search starts at `first` and doubles its distance from there until it has passed
  // the target. Else it probes `last` at once. Rationale: a probe at `last` may cost far more time
  // than one near the target.
  bool doubles = false;
  // The last step of all, where the search may go beyond `last`: while the target is not reached
  // there, it doubles its distance from `first` until this step. 0, or any step before `last`: it
  // may not.
  std::int64_t limit = 0;
};

// How a search ended.
enum class MatchStatus {
  kMatched,      // a probe is within the tolerance of the target
  kNearest,      // the values jump across the target; the probe on the nearer side was taken
  kUnreachable,  // all probes lie on one side of the target; the nearest was taken
};
std::string_view name_of(MatchStatus status) noexcept;  // "matched", "nearest", "unreachable"
std::optional<MatchStatus> parse_match_status(std::string_view name) noexcept;

struct SearchResult {
  std::int64_t step = 0;  // the probed step whose value is nearest to the target, the first such
  double reached = 0;     // the value at that step
  double least = 0;       // the least and the greatest value of all probes
  double greatest = 0;
  std::int64_t probes = 0;  // how many probes gave a value
  MatchStatus status = MatchStatus::kUnreachable;
};

// Returns the value at a step. nullopt: there is no value, because the step is refused.
using SearchProbe = std::function<std::optional<double>(std::int64_t)>;

// Searches for a step whose value is within tolerance * target of the target, which must be above
// 0. The values may rise or fall with the step. The search probes both ends of the range, and where
// the target lies beyond its last step further ones until the range's limit. Then it narrows the
// interval between two steps whose values lie on either side of the target: it probes in turn the
// step where a straight line through both values meets the target, and the step half way between.
// It ends when a probe matches, when the two steps are neighbours, or when ten probes in a row gave
// nothing but the two values on either side: there the values jump. Noisy values and values that
// are not monotone do not prevent the end, after at most two probes for each halving of the range;
// the nearest of all probes is the result. An end that is refused moves inwards by 1, 2, 4, ...
// Throws Error when a value is NaN, when every end is refused, and when a step between two with
// values is refused; passes on what the probe throws.
SearchResult search(const SearchRange& range,
                    double target,
                    double tolerance,
                    const SearchProbe& probe);

}  // namespace maskerade
