// Code that Highway compiles once for every instruction set: include it only in sources that are
// compiled so. Rationale: not #pragma once, because each instruction set must include the file
// once.
#if defined(MASKERADE_SELECT_WIDEN_INL) == defined(HWY_TARGET_TOGGLE)
#ifdef MASKERADE_SELECT_WIDEN_INL
#undef MASKERADE_SELECT_WIDEN_INL
#else
#define MASKERADE_SELECT_WIDEN_INL
#endif

#include <cstddef>
#include <cstdint>

#include "framework/tensor/dtype.hpp"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace maskerade {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// Widens source[0 .. count) of `dtype` to float32 in target[0 .. count), without rounding.
HWY_INLINE void widen(DType dtype, const void* source, std::int64_t count, float* target) {
  std::int64_t i = 0;
#if HWY_TARGET != HWY_SCALAR
  const hn::ScalableTag<float> d;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  if (dtype == DType::kFloat16) {
    const hn::Rebind<hwy::float16_t, decltype(d)> half;
    const auto* values = static_cast<const hwy::float16_t*>(source);
    for (; i + lanes <= count; i += lanes) {
      hn::StoreU(hn::PromoteTo(d, hn::LoadU(half, values + i)), d, target + i);
    }
  } else if (dtype == DType::kBFloat16) {
    const hn::Rebind<std::uint32_t, decltype(d)> wide;
    const hn::Rebind<std::uint16_t, decltype(d)> half;
    const auto* values = static_cast<const std::uint16_t*>(source);
    for (; i + lanes <= count; i += lanes) {
      const auto bits = hn::ShiftLeft<16>(hn::PromoteTo(wide, hn::LoadU(half, values + i)));
      hn::StoreU(hn::BitCast(d, bits), d, target + i);
    }
  }
#endif
  convert_to_float(dtype,
                   static_cast<const std::byte*>(source) + i * static_cast<int>(size_of(dtype)),
                   static_cast<std::size_t>(count - i), target + i);
}

}  // namespace HWY_NAMESPACE
}  // namespace maskerade
HWY_AFTER_NAMESPACE();

#endif  // MASKERADE_SELECT_WIDEN_INL
