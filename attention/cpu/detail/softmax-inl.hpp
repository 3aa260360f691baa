// Per-target code of Highway: include it only from sources that Highway compiles once per target.

// Not #pragma once: Highway's guard lets each target include the file once.
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

// Rows of a SoftmaxState, a whole number of vectors.
constexpr int kMaxStepRows = 64;

// 2^x for x <= 0. The polynomial is 2^f on the interval of f with a relative error below 9.2e-8
// (least maximum error of degree 5 with p(0) = 1); with rounding, below 2.5e-7. Below 2^-126 the
// result is some value below 2^-126, and for x <= -127 it is 0. For x < kLeast > -126 it is 0. NaN
// stays NaN.
#if HWY_TARGET <= HWY_AVX3

// With an instruction for the fraction and one for the exponent; both take -inf.
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
  // Denormal results would each take longer than all the rest. NaN is not below: it stays.
  const __mmask16 is_kept = _mm512_cmp_ps_mask(x.raw, _mm512_set1_ps(float{kLeast}), _CMP_NLT_UQ);
  return FloatVector{_mm512_maskz_scalef_ps(is_kept, p.raw, x.raw)};
}

#else

template <int kLeast = -126>
HWY_INLINE FloatVector exp2_of(FloatVector x) {
  const FloatTag d;
  const hn::RebindToSigned<FloatTag> bits;
  // At the lower bound f = 0, p = 1, and the exponent's -127 leaves the bits of 0.
  const auto bounded = hn::Max(x, hn::Set(d, -127.0F));
  // Adding 1.5 * 2^23 rounds to a whole number and leaves it in the low bits.
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

// The lanes of `scores` whose bits, from bit `first` of `word` on, are set; -inf elsewhere.
HWY_INLINE FloatVector keep_active(FloatVector scores, std::uint64_t word, int first) {
  const FloatTag d;
  HWY_ALIGN std::uint8_t bytes[8];
  const std::uint64_t here = word >> first;
  __builtin_memcpy(bytes, &here, sizeof(here));
  return hn::IfThenElse(hn::LoadMaskBits(d, bytes), scores,
                        hn::Set(d, -std::numeric_limits<float>::infinity()));
}

// The highest active score of a row; what is not active becomes -inf. words[b] is the row's own.
HWY_INLINE float mask_row(float* scores, int blocks, const std::uint64_t* words) {
  const FloatTag d;
  // Two chains: a maximum takes longer than it takes to start the next.
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

// The online softmax of softmax_step() over scores of which unit * score is the logit, unit > 0.
// weigh(scores, row, base) makes the weights 2^(unit * score - base) of one row of the step and
// gives the lanes' sums. Row by row in three passes, so that one row's reductions overlap with the
// next row's.
template <class Weigh>
HWY_INLINE void weigh_rows(float* scores,
                           float unit,
                           int first_row,
                           int rows,
                           int blocks,
                           const std::uint64_t* const* words,
                           const std::uint64_t* tails,
                           const Weigh& weigh,
                           detail::SoftmaxState& state) {
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
    // Without an active key so far the weights are 2^-inf = 0, not 2^(-inf + inf).
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
