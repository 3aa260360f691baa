#pragma once

#include <algorithm>
#include <limits>

namespace maskerade::detail {

// The largest probability below 1: an entry with probability 1 is a bit.
inline constexpr float kMostSampled = 1.0F - std::numeric_limits<float>::epsilon() / 2;

// 1 - (1-p)(1-q) of probabilities in [0, 1]; 1 only if either is 1. Written as p + q - pq, whose
// product is exact in double and which keeps the relative precision of small probabilities.
inline float united_probability(float p, float q) noexcept {
  if (p >= 1.0F || q >= 1.0F) return 1.0F;
  const double united = static_cast<double>(p) + q - static_cast<double>(p) * q;
  return std::min(static_cast<float>(united), kMostSampled);
}

// pq of probabilities in [0, 1]; 0 only if either is 0, so that an active entry stays active.
inline float intersected_probability(float p, float q) noexcept {
  if (p <= 0.0F || q <= 0.0F) return 0.0F;
  const auto product = static_cast<float>(static_cast<double>(p) * q);
  return std::max(product, std::numeric_limits<float>::denorm_min());
}

}  // namespace maskerade::detail
