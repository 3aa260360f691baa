#include "attention/cpu/detail/softmax_kernel.hpp"

#include <algorithm>
#include <limits>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "attention/cpu/detail/softmax_kernel.cpp"
#include "hwy/foreach_target.h"
// After foreach_target: each target reads these once.
#include "attention/cpu/detail/softmax-inl.hpp"
#include "framework/select/matrix_tile-inl.hpp"
#include "framework/select/widen-inl.hpp"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace maskerade {
namespace HWY_NAMESPACE {

// scores = 2^(score - base); the lanes' sums.
HWY_INLINE FloatVector weigh_row(float* scores, int blocks, float base) {
  const FloatTag d;
  const auto base_lanes = hn::Set(d, base);
  auto sum = hn::Zero(d);
  for (int b = 0; b < blocks; ++b, scores += 64) {
#pragma GCC unroll 4
    for (int j = 0; j < 64; j += kLanes) {
      const auto weight = exp2_of(hn::Sub(hn::LoadU(d, scores + j), base_lanes));
      hn::StoreU(weight, d, scores + j);
      sum = hn::Add(sum, weight);
    }
  }
  return sum;
}

void step_rows(float* scores,
               int first_row,
               int rows,
               int blocks,
               const std::uint64_t* const* words,
               const std::uint64_t* tails,
               detail::SoftmaxState& state) {
  const auto weigh = [&](float* row_scores, int, float base)
                         HWY_ATTR { return weigh_row(row_scores, blocks, base); };
  weigh_rows(scores, 1.0F, first_row, rows, blocks, words, tails, weigh, state);
}

template <class Rows>
HWY_INLINE void accumulate_columns(const float* weights,
                                   int rows,
                                   int count,
                                   const Rows& values,
                                   std::int64_t dim,
                                   const float* scale,
                                   float* out) {
  const AddToScaled add{out, dim, scale};
  const auto vectors = static_cast<int>(dim / kLanes);
  for (int done = 0; done < vectors;) {
    // Even shares of what is left: five vectors as 3 + 2, not 4 + 1.
    const int left = vectors - done;
    const int shares = (left + kMicroVectors - 1) / kMicroVectors;
    const int width = (left + shares - 1) / shares;
    if (width == 1) {
      multiply_columns<1, false>(weights, detail::kScoreStride, rows, values, count, add, done);
    } else if (width == 2) {
      multiply_columns<2, false>(weights, detail::kScoreStride, rows, values, count, add, done);
    } else if constexpr (kMicroVectors == 4) {
      if (width == 3) {
        multiply_columns<3, false>(weights, detail::kScoreStride, rows, values, count, add, done);
      } else {
        multiply_columns<4, false>(weights, detail::kScoreStride, rows, values, count, add, done);
      }
    }
    done += width;
  }
}

void accumulate(const float* weights,
                int rows,
                int count,
                const detail::ValueRows& values,
                std::int64_t dim,
                const float* scale,
                float* out) {
  if (values.list == nullptr) {
    const StridedRows strided{values.first, values.stride};
    accumulate_columns(weights, rows, count, strided, dim, scale, out);
  } else {
    const ListedRows listed{values.first, values.stride, values.list};
    accumulate_columns(weights, rows, count, listed, dim, scale, out);
  }
}

void pad(DType dtype, const void* source, std::int64_t count, std::int64_t padded, float* target) {
  widen(dtype, source, count, target);
  std::fill(target + count, target + padded, 0.0F);
}

void scale_all(DType dtype, const void* source, std::int64_t count, float factor, float* target) {
  const auto* values = static_cast<const float*>(source);
  if (dtype != DType::kFloat32) {
    widen(dtype, source, count, target);
    values = target;
  }
  const FloatTag d;
  std::int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    hn::StoreU(hn::Mul(hn::LoadU(d, values + i), hn::Set(d, factor)), d, target + i);
  }
  for (; i < count; ++i) target[i] = values[i] * factor;
}

void scale_past_caches(const float* source, std::int64_t count, float factor, float* target) {
  const FloatTag d;
  for (std::int64_t i = 0; i < count; i += kLanes) {
    hn::Stream(hn::Mul(hn::LoadU(d, source + i), hn::Set(d, factor)), d, target + i);
  }
}

int lanes_of_target() { return kLanes; }
std::int64_t this_target() { return HWY_TARGET; }

}  // namespace HWY_NAMESPACE
}  // namespace maskerade
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace maskerade {

HWY_EXPORT(step_rows);
HWY_EXPORT(accumulate);
HWY_EXPORT(pad);
HWY_EXPORT(scale_all);
HWY_EXPORT(scale_past_caches);
HWY_EXPORT(lanes_of_target);
HWY_EXPORT(this_target);

namespace detail {

void softmax_step(float* scores,
                  int first_row,
                  int rows,
                  int blocks,
                  const std::uint64_t* const* words,
                  const std::uint64_t* tails,
                  SoftmaxState& state) {
  HWY_DYNAMIC_DISPATCH(step_rows)(scores, first_row, rows, blocks, words, tails, state);
}

void accumulate_values(const float* weights,
                       int rows,
                       int count,
                       const ValueRows& values,
                       std::int64_t dim,
                       const float* scale,
                       float* out) {
  HWY_DYNAMIC_DISPATCH(accumulate)(weights, rows, count, values, dim, scale, out);
}

void scale_past_caches(const float* source, std::int64_t count, float factor, float* target) {
  HWY_DYNAMIC_DISPATCH(scale_past_caches)(source, count, factor, target);
}

int value_lanes() { return HWY_DYNAMIC_DISPATCH(lanes_of_target)(); }

void widen_padded(
    DType dtype, const void* source, std::int64_t count, std::int64_t padded, float* target) {
  HWY_DYNAMIC_DISPATCH(pad)(dtype, source, count, padded, target);
}

void widen_scaled(
    DType dtype, const void* source, std::int64_t count, float factor, float* target) {
  HWY_DYNAMIC_DISPATCH(scale_all)(dtype, source, count, factor, target);
}

std::string target_name() { return hwy::TargetName(HWY_DYNAMIC_DISPATCH(this_target)()); }

}  // namespace detail
}  // namespace maskerade
#endif  // HWY_ONCE
