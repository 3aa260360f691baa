// Quantisation to a few levels, as methods that store keys in few bits simulate it.
#pragma once

#include <algorithm>
#include <cmath>
#include <span>

namespace maskerade::sdk {

// Rounds values to 2^bits levels between the smallest and the largest of them, halves to the even
// level, in float32.
inline void quantise(std::span<float> values, int bits) {
  const auto [least, greatest] = std::minmax_element(values.begin(), values.end());
  const float low = *least;
  const float range = *greatest - low;
  const auto levels = static_cast<float>((1 << bits) - 1);
  const float scale = levels / (range == 0.0F ? 1.0F : range);
  for (float& value : values) {
    value = std::clamp(std::nearbyint((value - low) * scale), 0.0F, levels) / scale + low;
  }
}

}  // namespace maskerade::sdk
