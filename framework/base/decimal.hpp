#pragma once

#include <optional>
#include <string_view>

namespace maskerade {

// The number that a plain decimal text stands for, such as 12, -0.5 or 1e-5: digits without leading
// zeros, and where there is a point or an exponent, digits after it. nullopt for any other text and
// for a number that no double holds.
std::optional<double> parse_decimal(std::string_view text) noexcept;

// The same as float32, for a number above 0 that float32 holds. nullopt for any other text.
std::optional<float> parse_positive_float(std::string_view text) noexcept;
// What such a text is, for messages.
inline constexpr const char* kPositiveFloatForm =
    "a number above 0 in the range of float32, such as 0.125 or 1e-5";

}  // namespace maskerade
