#include "framework/mask/published/published_operations.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "framework/base/error.hpp"

namespace maskerade {
namespace {

// Calls value(x, p) for every entry that is active; the others become 0.
template <typename Value>
std::vector<float> apply(const PublishedMask& mask,
                         std::span<const float> x,
                         const PublishedRules& rules,
                         Value&& value) {
  if (x.size() != static_cast<std::size_t>(mask.shape().entries())) {
    throw ShapeError(fmt::format("x has {} elements; a mask of shape {} takes {}", x.size(),
                                 mask.shape().to_string(), mask.shape().entries()));
  }
  std::vector<float> result(x.begin(), x.end());
  if (mask.is_flagged_full()) return result;
  if (mask.is_flagged_empty() && rules.empty_passes) return result;
  for (std::size_t i = 0; i < result.size(); ++i) {
    const float p = mask.weight(static_cast<std::int64_t>(i));
    result[i] = p > 0.0F ? value(x[i], p) : 0.0F;
  }
  return result;
}

}  // namespace

std::vector<float> apply_mask(const PublishedMask& mask,
                              std::span<const float> x,
                              const PublishedRules& rules) {
  return apply(mask, x, rules, [](float value, float p) { return value * p; });
}

std::vector<float> apply_inv_mask(const PublishedMask& mask,
                                  std::span<const float> x,
                                  const PublishedRules& rules) {
  const float epsilon = rules.inverse_epsilon;
  if (epsilon == 0.0F) {
    return apply(mask, x, rules, [](float value, float p) { return value / p; });
  }
  return apply(mask, x, rules,
               [epsilon](float value, float p) { return value * (1.0F / (p + epsilon)); });
}

PublishedMask merge(const PublishedMask& a, const PublishedMask& b) {
  if (a.shape() != b.shape()) {
    throw ShapeError(fmt::format("masks of shapes {} and {} cannot be merged",
                                 a.shape().to_string(), b.shape().to_string()));
  }
  if (a.is_flagged_full() || b.is_flagged_full()) return PublishedMask::flagged_full(a.shape());
  if (a.is_flagged_empty() && b.is_flagged_empty()) {
    return PublishedMask::flagged_empty(a.shape());
  }
  std::vector<float> weights = a.to_dense();
  for (std::size_t i = 0; i < weights.size(); ++i) {
    weights[i] = std::min(weights[i] + b.weight(static_cast<std::int64_t>(i)), 1.0F);
  }
  return PublishedMask::from_dense(a.shape(), std::move(weights));
}

}  // namespace maskerade
