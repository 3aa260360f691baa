#include "framework/mask/published/published_operations.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "framework/base/error.hpp"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "framework/mask/published/published_operations.cpp"
#include "hwy/foreach_target.h"
// After foreach_target.h, which includes this file once for every instruction set.
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace maskerade {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// Sets result[i] to value(d, x[i], weights[i]) on vectors of tag d where the weight is above 0,
// else to 0, for i < count. result may be x.
template <typename Value>
HWY_INLINE void apply(
    const float* weights, const float* x, std::size_t count, float* result, Value&& value) {
  const hn::ScalableTag<float> d;
  const std::size_t lanes = hn::Lanes(d);
  const auto zero = hn::Zero(d);
  std::size_t i = 0;
  for (; i + lanes <= count; i += lanes) {
    const auto p = hn::LoadU(d, weights + i);
    hn::StoreU(hn::IfThenElseZero(hn::Gt(p, zero), value(d, hn::LoadU(d, x + i), p)), d,
               result + i);
  }
  const hn::CappedTag<float, 1> one;
  for (; i < count; ++i) {
    const auto p = hn::LoadU(one, weights + i);
    hn::StoreU(hn::IfThenElseZero(hn::Gt(p, hn::Zero(one)), value(one, hn::LoadU(one, x + i), p)),
               one, result + i);
  }
}

void multiply(const float* weights, const float* x, std::size_t count, float* result) {
  apply(weights, x, count, result, [](auto, auto value, auto p) { return hn::Mul(value, p); });
}

void divide(const float* weights, const float* x, std::size_t count, float* result) {
  apply(weights, x, count, result, [](auto, auto value, auto p) { return hn::Div(value, p); });
}

void multiply_by_inverse(
    const float* weights, const float* x, std::size_t count, float epsilon, float* result) {
  apply(weights, x, count, result, [epsilon](auto d, auto value, auto p) {
    return hn::Mul(value, hn::Div(hn::Set(d, 1.0F), hn::Add(p, hn::Set(d, epsilon))));
  });
}

}  // namespace HWY_NAMESPACE
}  // namespace maskerade
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace maskerade {

HWY_EXPORT(multiply);
HWY_EXPORT(divide);
HWY_EXPORT(multiply_by_inverse);

namespace {

void check_count(const PublishedMask& mask, const char* name, std::size_t count) {
  if (count != static_cast<std::size_t>(mask.shape().entries())) {
    throw ShapeError(fmt::format("{} has {} elements; a mask of shape {} takes {}", name, count,
                                 mask.shape().to_string(), mask.shape().entries()));
  }
}

// Checks the sizes and calls kernel(weights, x, count, result) for pieces of the entries, in
// parallel; a flagged mask, which has no weights, copies or clears them instead.
template <typename Kernel>
void apply(const PublishedMask& mask,
           std::span<const float> x,
           std::span<float> result,
           const PublishedRules& rules,
           const Threads& threads,
           Kernel&& kernel) {
  check_count(mask, "x", x.size());
  check_count(mask, "the result", result.size());
  constexpr std::int64_t kPiece = 1 << 16;
  const std::int64_t entries = mask.shape().entries();
  threads.for_each((entries + kPiece - 1) / kPiece, [&](std::int64_t piece, int) {
    const auto first = static_cast<std::size_t>(piece * kPiece);
    const auto count = static_cast<std::size_t>(std::min(kPiece, entries - piece * kPiece));
    if (!mask.is_flagged()) {
      kernel(mask.weights().data() + first, x.data() + first, count, result.data() + first);
    } else if (mask.is_flagged_full() || rules.empty_passes) {
      std::copy_n(x.data() + first, count, result.data() + first);
    } else {
      std::fill_n(result.data() + first, count, 0.0F);
    }
  });
}

}  // namespace

void apply_mask(const PublishedMask& mask,
                std::span<const float> x,
                std::span<float> result,
                const PublishedRules& rules,
                const Threads& threads) {
  apply(mask, x, result, rules, threads, HWY_DYNAMIC_DISPATCH(multiply));
}

void apply_inv_mask(const PublishedMask& mask,
                    std::span<const float> x,
                    std::span<float> result,
                    const PublishedRules& rules,
                    const Threads& threads) {
  const float epsilon = rules.inverse_epsilon;
  if (epsilon == 0.0F) {
    return apply(mask, x, result, rules, threads, HWY_DYNAMIC_DISPATCH(divide));
  }
  apply(mask, x, result, rules, threads,
        [epsilon](const float* weights, const float* values, std::size_t count, float* target) {
          HWY_DYNAMIC_DISPATCH(multiply_by_inverse)(weights, values, count, epsilon, target);
        });
}

std::vector<float> apply_mask(const PublishedMask& mask,
                              std::span<const float> x,
                              const PublishedRules& rules) {
  std::vector<float> result(x.size());
  apply_mask(mask, x, result, rules);
  return result;
}

std::vector<float> apply_inv_mask(const PublishedMask& mask,
                                  std::span<const float> x,
                                  const PublishedRules& rules) {
  std::vector<float> result(x.size());
  apply_inv_mask(mask, x, result, rules);
  return result;
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
  const std::vector<float> others = b.to_dense();
  for (std::size_t i = 0; i < weights.size(); ++i) {
    weights[i] = std::min(weights[i] + others[i], 1.0F);
  }
  return PublishedMask::from_dense(a.shape(), std::move(weights));
}

}  // namespace maskerade
#endif  // HWY_ONCE
