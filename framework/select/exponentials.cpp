#include "framework/select/exponentials.hpp"

#include <cmath>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "framework/select/exponentials.cpp"
#include "hwy/foreach_target.h"
// After foreach_target.h, which includes this file once for every instruction set.
#include "hwy/contrib/math/math-inl.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace maskerade {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

void exponentials_of(
    const float* scores, std::size_t count, double scale, float top, double* weights) {
  std::size_t j = 0;
#if HWY_TARGET != HWY_SCALAR
  const hn::ScalableTag<double> d;
  const hn::Rebind<float, decltype(d)> narrow;
  const auto lanes = hn::Lanes(d);
  for (; j + lanes <= count; j += lanes) {
    const auto wide = hn::PromoteTo(d, hn::LoadU(narrow, scores + j));
    const auto x = hn::Mul(hn::Set(d, scale), hn::Sub(wide, hn::Set(d, double{top})));
    // Highway's Exp takes finite numbers only; below -745 the result is 0 in float64 anyway.
    hn::StoreU(hn::Exp(d, hn::Max(x, hn::Set(d, -1000.0))), d, weights + j);
  }
#endif
  for (; j < count; ++j) weights[j] = std::exp(scale * (double{scores[j]} - double{top}));
}

}  // namespace HWY_NAMESPACE
}  // namespace maskerade
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace maskerade {

HWY_EXPORT(exponentials_of);

void exponentials(std::span<const float> scores,
                  double scale,
                  float top,
                  std::span<double> weights) {
  HWY_DYNAMIC_DISPATCH(exponentials_of)
  (scores.data(), scores.size(), scale, top, weights.data());
}

}  // namespace maskerade
#endif  // HWY_ONCE
