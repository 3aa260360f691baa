// Shares as whole numbers, so that a share of a count is exact.
#pragma once

#include <cstdint>

namespace maskerade::sdk {

// 100 % in the unit of exact shares, the hundred-millionth: the unit in which a maskerade_value of
// tokens counts, too. A percentage of at most six decimals is a whole number of them.
// Rationale: 29% of 100 keys is 29 in whole numbers; a double would give 28.
inline constexpr std::int64_t kHundredPercent = 100'000'000;

}  // namespace maskerade::sdk
