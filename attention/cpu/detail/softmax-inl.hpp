// Code that Highway compiles once for each target: include it only from sources that include
// foreach_target.h.

// In place of #pragma once Highway's guard, which lets each target include the file once.
#if defined(MASKERADE_SOFTMAX_INL) == defined(HWY_TARGET_TOGGLE)
#ifdef MASKERADE_SOFTMAX_INL
#undef MASKERADE_SOFTMAX_INL
#else
#define MASKERADE_SOFTMAX_INL
#endif

#include <algorithm>
#include <cstdint>
#include <limits>

#include "attention/cpu/detail/softmax_kernel.hpp"
#include "framework/select/matrix_tile-inl.hpp"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace maskerade {
namespace HWY_NAMESPACE {

// Rows of a SoftmaxState; a multiple of any target's lanes.
constexpr int kMaxStepRows = 64;

// 2^x for x <= 0, with a relative error below 2.5e-7. A polynomial p gives 2^f for the fraction f
// of x with a relative error below 9.2e-8 (degree 5, least maximum error, p(0) = 1); the rest is
// rounding. Results below 2^-126 are not exact: they are some value below 2^-126, and 0 for
// x <= -127. With kLeast above -126 results for x < kLeast are 0. NaN stays NaN.
#if HWY_TARGET <= HWY_AVX3

// AVX-512 has an instruction that takes the fraction and one that sets the exponent; both take
// -inf.
template <int kLeast = -126>
HWY_INLINE FloatVector exp2_of(FloatVector x) {
  constexpr int kFloor = 1;
  const FloatTag d;
  const FloatVector f{_mm512_reduce_ps(x.raw, kFloor)};
  auto p = hn::Set(d, 0.00186713F);
  p = hn::MulAdd(p, f, hn::Set(d, 0.009017031F));
  p = hn::MulAdd(p, f, hn::Set(d, 0.055799913F));
  p = hn::MulAdd(p, f, hn::Set(d, 0.24016444F));
  p = hn::MulAdd(p, f, hn::Set(d, 0.6931513F));
  p = hn::MulAdd(p, f, hn::Set(d, 1.0F));
  // Rationale: each denormal result would take longer than all the rest. The comparison is "not
  // less than", which keeps NaN.
  const __mmask16 is_kept = _mm512_cmp_ps_mask(x.raw, _mm512_set1_ps(float{kLeast}), _CMP_NLT_UQ);
  return FloatVector{_mm512_maskz_scalef_ps(is_kept, p.raw, x.raw)};
}

#else

template <int kLeast = -126>
HWY_INLINE FloatVector exp2_of(FloatVector x) {
  const FloatTag d;
  const hn::RebindToSigned<FloatTag> bits;
  // At the bound -127 f is 0 and p is 1, and adding -127 to its exponent gives the bits of 0.
  const auto bounded = hn::Max(x, hn::Set(d, -127.0F));
  // Adding 1.5 * 2^23 rounds x to a whole number, which is then in the low bits of the sum.
  const auto magic = hn::Set(d, 12582912.0F);
  const auto shifted = hn::Add(bounded, magic);
  const auto f = hn::Sub(bounded, hn::Sub(shifted, magic));
  auto p = hn::Set(d, 0.00132647273F);
  p = hn::MulAdd(p, f, hn::Set(d, 0.00967151299F));
  p = hn::MulAdd(p, f, hn::Set(d, 0.0555073358F));
  p = hn::MulAdd(p, f, hn::Set(d, 0.240222424F));
  p = hn::MulAdd(p, f, hn::Set(d, 0.693147004F));
  p = hn::MulAdd(p, f, hn::Set(d, 1.0F));
  const auto exponent = hn::ShiftLeft<23>(hn::BitCast(bits, shifted));
  auto power = hn::BitCast(d, hn::Add(hn::BitCast(bits, p), exponent));
  if constexpr (kLeast > -126) {
    power = hn::IfThenZeroElse(hn::Lt(x, hn::Set(d, float{kLeast})), power);
  }
  return hn::IfThenElse(hn::IsNaN(x), x, power);
}

#endif

// `scores` in the lanes i for which bit first + i of `word` is set, -inf in the others.
HWY_INLINE FloatVector keep_active(FloatVector scores, std::uint64_t word, int first) {
  const FloatTag d;
  HWY_ALIGN std::uint8_t bytes[8];
  const std::uint64_t here = word >> first;
  __builtin_memcpy(bytes, &here, sizeof(here));
  return hn::IfThenElse(hn::LoadMaskBits(d, bytes), scores,
                        hn::Set(d, -std::numeric_limits<float>::infinity()));
}

// The highest active score of one row, scores[64 * blocks]; makes inactive scores -inf. Bit j of
// words[b] says whether column j of block b is active.
HWY_INLINE float mask_row(float* scores, int blocks, const std::uint64_t* words) {
  const FloatTag d;
  // Rationale: two independent maxima, since one takes several cycles and two can be under way.
  auto highest = hn::Set(d, -std::numeric_limits<float>::infinity());
  auto other = highest;
  for (int b = 0; b < blocks; ++b) {
    float* block = scores + std::int64_t{b} * 64;
    if (words[b] == ~std::uint64_t{0}) {
      for (int j = 0; j < 64; j += 2 * kLanes) {
        highest = hn::Max(highest, hn::LoadU(d, block + j));
        other = hn::Max(other, hn::LoadU(d, block + j + kLanes));
      }
    } else {
      for (int j = 0; j < 64; j += kLanes) {
        const auto kept = keep_active(hn::LoadU(d, block + j), words[b], j);
        hn::StoreU(kept, d, block + j);
        highest = hn::Max(highest, kept);
      }
    }
  }
  return hn::GetLane(hn::MaxOfLanes(d, hn::Max(highest, other)));
}

// One step of the online softmax, see softmax_step(). weigh(scores, row, base) makes the weights
// 2^(unit * score - base) of the step's row `row` and returns their sums by lane. Rationale: three
// passes over the rows instead of one, so that one row's reductions overlap with the next row's.
template <class Weigh>
HWY_INLINE void weigh_rows(const detail::SoftmaxStep& step,
                           const Weigh& weigh,
                           detail::SoftmaxState& state) {
  const auto [scores, unit, first_row, rows, blocks, words, tails] = step;
  constexpr float kNone = -std::numeric_limits<float>::infinity();
  const FloatTag d;
  HWY_ALIGN float base[kMaxStepRows];
  HWY_ALIGN float rise[kMaxStepRows];
  float* tops = state.top + first_row;
  for (int row = 0; row < rows; ++row) {
    std::uint64_t active[detail::kStepBlocks];
    for (int b = 0; b < blocks; ++b) {
      active[b] = words[b] == nullptr ? tails[b] : words[b][row] & tails[b];
    }
    const float before = tops[row];
    const float top =
        std::max(before, unit * mask_row(scores + row * detail::kScoreStride, blocks, active));
    // With base 0 the weights of a row without an active key so far are 2^-inf = 0; with base -inf
    // they would be NaN.
    base[row] = top == kNone ? 0.0F : top;
    rise[row] = before - base[row];
    tops[row] = top;
  }
  const int padded = (rows + kLanes - 1) / kLanes * kLanes;
  std::fill(rise + rows, rise + padded, 0.0F);
  for (int row = 0; row < padded; row += kLanes) {
    hn::Store(exp2_of(hn::Load(d, rise + row)), d, rise + row);
  }
  for (int row = 0; row < rows; ++row) {
    const auto sum = weigh(scores + row * detail::kScoreStride, row, base[row]);
    double& total = state.sum[first_row + row];
    total = total * static_cast<double>(rise[row]) +
            static_cast<double>(hn::GetLane(hn::SumOfLanes(d, sum)));
  }
  std::copy(rise, rise + rows, state.scale + first_row);
}

}  // namespace HWY_NAMESPACE
}  // namespace maskerade
HWY_AFTER_NAMESPACE();

#endif  // MASKERADE_SOFTMAX_INL
