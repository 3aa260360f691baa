#pragma once

#include <algorithm>
#include <limits>

namespace maskerade::detail {

// The largest float32 below 1, and so the largest probability of a sampled entry: one with
// probability 1 is stored as a bit.
inline constexpr float kMostSampled = 1.0F - std::numeric_limits<float>::epsilon() / 2;

// The probability of an entry in the union of two masks that have it with p and q, each in [0, 1]:
// 1 - (1 - p)(1 - q). It is 1 only if p or q is, also where float32 would round it to 1. Rationale:
// computed as p + q - pq, because that product is exact in double and small probabilities keep
// their relative precision.
inline float united_probability(float p, float q) noexcept {
  if (p >= 1.0F || q >= 1.0F) return 1.0F;
  const double united = static_cast<double>(p) + q - static_cast<double>(p) * q;
  return std::min(static_cast<float>(united), kMostSampled);
}

// The probability of an entry in the intersection of two masks that have it with p and q, each in
// [0, 1]: pq. It is 0 only if p or q is, also where float32 would round it to 0, so that an entry
// that is active in both stays active.
inline float intersected_probability(float p, float q) noexcept {
  if (p <= 0.0F || q <= 0.0F) return 0.0F;
  const auto product = static_cast<float>(static_cast<double>(p) * q);
  return std::max(product, std::numeric_limits<float>::denorm_min());
}

}  // namespace maskerade::detail
