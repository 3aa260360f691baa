#include "attention/cpu/detail/softmax_kernel.hpp"

#include <algorithm>
#include <limits>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "attention/cpu/detail/softmax_kernel.cpp"
#include "hwy/foreach_target.h"
// Must come after foreach_target.h, so that they are included once for each target.
#include "attention/cpu/detail/softmax-inl.hpp"
#include "framework/select/matrix_tile-inl.hpp"
#include "framework/select/widen-inl.hpp"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace maskerade {
namespace HWY_NAMESPACE {

// Turns scores[64 * blocks] of a row into weights 2^(score - base) and returns their sums by lane.
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

void step_rows(const detail::SoftmaxStep& step, detail::SoftmaxState& state) {
  const auto weigh = [&](float* row_scores, int, float base)
                         HWY_ATTR { return weigh_row(row_scores, step.blocks, base); };
  weigh_rows(step, weigh, state);
}

// accumulate_values() for values that are StridedRows or ListedRows.
template <class Rows>
HWY_INLINE void accumulate_columns(const detail::ValueSums& sums, const Rows& values) {
  const float* weights = sums.weights;
  const int rows = sums.rows;
  const int count = sums.count;
  const AddToScaled add{sums.out, sums.dim, sums.scale};
  const auto vectors = static_cast<int>(sums.dim / kLanes);
  for (int done = 0; done < vectors;) {
    // Columns are taken in even shares of at most kMicroVectors vectors: five as 3 + 2, not 4 + 1.
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

void accumulate(const detail::ValueSums& sums) {
  const detail::ValueRows& values = sums.values;
  if (values.list == nullptr) {
    accumulate_columns(sums, StridedRows{values.first, values.stride});
  } else {
    accumulate_columns(sums, ListedRows{values.first, values.stride, values.list});
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

void softmax_step(const SoftmaxStep& step, SoftmaxState& state) {
  HWY_DYNAMIC_DISPATCH(step_rows)(step, state);
}

void accumulate_values(const ValueSums& sums) { HWY_DYNAMIC_DISPATCH(accumulate)(sums); }

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
