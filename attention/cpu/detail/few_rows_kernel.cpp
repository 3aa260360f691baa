#include "attention/cpu/detail/few_rows_kernel.hpp"

#include <algorithm>
#include <cstring>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "attention/cpu/detail/few_rows_kernel.cpp"
#include "hwy/foreach_target.h"
// After foreach_target: each target reads this once.
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace maskerade {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

#if HWY_TARGET == HWY_SCALAR

std::int64_t unit_of(DType) { return 0; }
void score_rows(DType,
                std::int64_t,
                const float*,
                int,
                const detail::ListedBytes&,
                const detail::ListedBytes&,
                float*,
                std::int64_t) {}
void accumulate_rows(DType,
                     std::int64_t,
                     const float*,
                     std::int64_t,
                     int,
                     const detail::ListedBytes&,
                     const detail::ListedBytes&,
                     const float*,
                     float*) {}

#else

using FloatTag = hn::ScalableTag<float>;
using FloatVector = hn::Vec<FloatTag>;
inline constexpr int kLanes = static_cast<int>(hn::MaxLanes(FloatTag()));
static_assert(kLanes == 4 || kLanes == 8 || kLanes == 16,
              "sums_of_lanes is written for vectors of 128, 256 and 512 bits");

// Rows whose sums are held in registers together.
inline constexpr int kRowsAtOnce = 4;
// Vectors of sums that leave registers for values and weights.
inline constexpr int kSumVectors = kLanes == 16 ? 24 : 12;
// Keys that are taken through all rows while they are in the first-level cache.
inline constexpr std::int64_t kBatchKeys = 16;
// Keys from the one in use to the one being fetched.
inline constexpr std::int64_t kFetchAhead = 32;

// How a unit of stored components becomes vectors of floats.
template <DType kType>
struct Unit;
template <>
struct Unit<DType::kFloat32> {
  static constexpr int kVectors = 1;
  static HWY_INLINE void load(const std::byte* at, FloatVector* to) {
    to[0] = hn::LoadU(FloatTag(), reinterpret_cast<const float*>(at));
  }
};
template <>
struct Unit<DType::kFloat16> {
  static constexpr int kVectors = 1;
  static HWY_INLINE void load(const std::byte* at, FloatVector* to) {
    const hn::Rebind<hwy::float16_t, FloatTag> half;
    to[0] = hn::PromoteTo(FloatTag(), hn::LoadU(half, reinterpret_cast<const hwy::float16_t*>(at)));
  }
};
// Even components, then odd ones: two operations for what widening in order takes four.
template <>
struct Unit<DType::kBFloat16> {
  static constexpr int kVectors = 2;
  static HWY_INLINE void load(const std::byte* at, FloatVector* to) {
    const hn::RebindToUnsigned<FloatTag> bits;
    const auto pairs = hn::LoadU(bits, reinterpret_cast<const std::uint32_t*>(at));
    to[0] = hn::BitCast(FloatTag(), hn::ShiftLeft<16>(pairs));
    to[1] = hn::BitCast(FloatTag(), hn::And(pairs, hn::Set(bits, 0xFFFF0000U)));
  }
};

// The units of a row: at every kComponents components, the last one at the row's end, so that it
// may repeat components of the one before.
template <DType kType>
struct Units {
  static constexpr std::int64_t kComponents = Unit<kType>::kVectors * kLanes;
  static constexpr std::int64_t kSize = kType == DType::kFloat32 ? 4 : 2;

  explicit Units(std::int64_t head_dim)
      : count((head_dim + kComponents - 1) / kComponents),
        width(count * kComponents),
        last_bytes((head_dim - kComponents) * kSize) {}
  HWY_INLINE std::int64_t offset_bytes(std::int64_t unit) const {
    return std::min(unit * kComponents * kSize, last_bytes);
  }

  std::int64_t count;
  std::int64_t width;
  std::int64_t last_bytes;
};

HWY_INLINE const std::byte* row_at(const detail::ListedBytes& rows, std::int64_t j) {
  return rows.first + rows.stride_bytes * rows.list[j];
}

// The row kFetchAhead after row j, going on with `next` past the end; row j itself where there
// is none.
HWY_INLINE const std::byte* row_ahead(const detail::ListedBytes& rows,
                                      const detail::ListedBytes& next,
                                      std::int64_t j) {
  const std::int64_t ahead = j + kFetchAhead;
  if (ahead < rows.count) return row_at(rows, ahead);
  return ahead - rows.count < next.count ? row_at(next, ahead - rows.count) : row_at(rows, j);
}

// Fetches the cache lines of a row that begin within a unit. Called between the products of a unit,
// so that reads from memory never pause. Into the second level: the lines in flight would crowd the
// first.
template <DType kType>
HWY_INLINE void fetch_unit(const std::byte* row, std::int64_t unit) {
  constexpr std::int64_t kUnitsPerLine =
      std::max<std::int64_t>(1, 64 / (Units<kType>::kComponents * Units<kType>::kSize));
  if (unit % kUnitsPerLine == 0) {
    __builtin_prefetch(row + unit * Units<kType>::kComponents * Units<kType>::kSize, 0, 2);
  }
}

HWY_INLINE FloatVector add_halves(FloatVector low, FloatVector high) {
  const FloatTag d;
  return hn::Add(hn::ConcatLowerLower(d, high, low), hn::ConcatUpperUpper(d, high, low));
}

// Block b of the result holds, for i = 0 ... 3, the sum of block b of sums[i].
HWY_INLINE FloatVector sums_within_blocks(const FloatVector* sums) {
  const FloatTag d;
  const hn::Repartition<double, FloatTag> pairs;
  const auto first = hn::BitCast(pairs, hn::Add(hn::InterleaveLower(d, sums[0], sums[1]),
                                                hn::InterleaveUpper(d, sums[0], sums[1])));
  const auto second = hn::BitCast(pairs, hn::Add(hn::InterleaveLower(d, sums[2], sums[3]),
                                                 hn::InterleaveUpper(d, sums[2], sums[3])));
  return hn::Add(hn::BitCast(d, hn::InterleaveLower(pairs, first, second)),
                 hn::BitCast(d, hn::InterleaveUpper(pairs, first, second)));
}

// Lane i of the result is the sum over the lanes of sums[i].
HWY_INLINE FloatVector sums_of_lanes(const FloatVector (&sums)[kLanes]) {
#if HWY_MAX_BYTES >= 64
  if constexpr (kLanes == 16) {
    const auto even = add_halves(sums_within_blocks(sums), sums_within_blocks(sums + 8));
    const auto odd = add_halves(sums_within_blocks(sums + 4), sums_within_blocks(sums + 12));
    return hn::Add(hn::OddEvenBlocks(odd, even),
                   hn::SwapAdjacentBlocks(hn::OddEvenBlocks(even, odd)));
  }
#endif
  if constexpr (kLanes == 4) {
    return sums_within_blocks(sums);
  } else {
    return add_halves(sums_within_blocks(sums), sums_within_blocks(sums + 4));
  }
}

// Keys whose scores with kRows rows fill a vector.
template <int kRows>
inline constexpr int kKeysAtOnce = kLanes / (kRows == 3 ? 4 : kRows);

// Scores of kRows rows with kKeysAtOnce keys from key `first` on.
template <DType kType, int kRows, bool kFetch>
HWY_INLINE void score_keys(const Units<kType>& units,
                           const float* HWY_RESTRICT queries,
                           const detail::ListedBytes& keys,
                           const detail::ListedBytes& next,
                           std::int64_t first,
                           float* HWY_RESTRICT scores,
                           std::int64_t score_stride) {
  constexpr int kKeys = kKeysAtOnce<kRows>;
  constexpr int kVectors = Unit<kType>::kVectors;
  const FloatTag d;
  const std::byte* rows[kKeys];
  const std::byte* ahead[kKeys];
#pragma GCC unroll 16
  for (int j = 0; j < kKeys; ++j) {
    rows[j] = row_at(keys, first + j);
    if constexpr (kFetch) ahead[j] = row_ahead(keys, next, first + j);
  }
  FloatVector sums[kLanes];
#pragma GCC unroll 16
  for (int i = 0; i < kLanes; ++i) sums[i] = hn::Zero(d);
  for (std::int64_t u = 0; u < units.count; ++u) {
    const std::int64_t offset = units.offset_bytes(u);
    FloatVector query[kRows][kVectors];
#pragma GCC unroll 4
    for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 2
      for (int v = 0; v < kVectors; ++v) {
        query[r][v] = hn::LoadU(d, queries + r * units.width + (u * kVectors + v) * kLanes);
      }
    }
#pragma GCC unroll 16
    for (int j = 0; j < kKeys; ++j) {
      if constexpr (kFetch) fetch_unit<kType>(ahead[j], u);
      FloatVector key[kVectors];
      Unit<kType>::load(rows[j] + offset, key);
#pragma GCC unroll 2
      for (int v = 0; v < kVectors; ++v) {
#pragma GCC unroll 4
        for (int r = 0; r < kRows; ++r) {
          sums[r * kKeys + j] = hn::MulAdd(query[r][v], key[v], sums[r * kKeys + j]);
        }
      }
    }
  }
  HWY_ALIGN float lanes[kLanes];
  hn::Store(sums_of_lanes(sums), d, lanes);
#pragma GCC unroll 4
  for (int r = 0; r < kRows; ++r) {
    std::memcpy(scores + r * score_stride + first, lanes + r * kKeys, kKeys * sizeof(float));
  }
}

template <DType kType, int kRows>
HWY_NOINLINE void score_batch(const Units<kType>& units,
                              const float* queries,
                              const detail::ListedBytes& keys,
                              const detail::ListedBytes& next,
                              std::int64_t first,
                              bool fetch,
                              float* scores,
                              std::int64_t score_stride) {
  constexpr int kKeys = kKeysAtOnce<kRows>;
  for (std::int64_t j = first; j < first + kBatchKeys; j += kKeys) {
    if (fetch) {
      score_keys<kType, kRows, true>(units, queries, keys, next, j, scores, score_stride);
    } else {
      score_keys<kType, kRows, false>(units, queries, keys, next, j, scores, score_stride);
    }
  }
}

template <DType kType>
void score_rows_of(std::int64_t head_dim,
                   const float* queries,
                   int rows,
                   const detail::ListedBytes& keys,
                   const detail::ListedBytes& next,
                   float* scores,
                   std::int64_t stride) {
  const Units<kType> units(head_dim);
  for (std::int64_t j = 0; j < keys.count; j += kBatchKeys) {
    for (int r = 0; r < rows; r += kRowsAtOnce) {
      const bool fetch = r == 0;
      const float* query = queries + r * units.width;
      float* target = scores + r * stride;
      switch (std::min(rows - r, kRowsAtOnce)) {
        case 1:
          score_batch<kType, 1>(units, query, keys, next, j, fetch, target, stride);
          break;
        case 2:
          score_batch<kType, 2>(units, query, keys, next, j, fetch, target, stride);
          break;
        case 3:
          score_batch<kType, 3>(units, query, keys, next, j, fetch, target, stride);
          break;
        default:
          score_batch<kType, 4>(units, query, keys, next, j, fetch, target, stride);
          break;
      }
    }
  }
}

// Adds a batch of weighted values to kUnits units of kRows rows of out.
template <DType kType, int kRows, int kUnits>
HWY_INLINE void accumulate_units(const Units<kType>& units,
                                 const float* HWY_RESTRICT weights,
                                 std::int64_t weight_stride,
                                 const detail::ListedBytes& values,
                                 const detail::ListedBytes& next,
                                 std::int64_t first,
                                 std::int64_t first_unit,
                                 bool fetch,
                                 float* HWY_RESTRICT out) {
  constexpr int kUnitVectors = Unit<kType>::kVectors;
  constexpr int kVectors = kUnits * kUnitVectors;
  const FloatTag d;
  float* at = out + first_unit * Units<kType>::kComponents;
  std::int64_t offsets[kUnits];
#pragma GCC unroll 8
  for (int u = 0; u < kUnits; ++u) offsets[u] = units.offset_bytes(first_unit + u);
  FloatVector sums[kRows][kVectors];
#pragma GCC unroll 4
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 8
    for (int v = 0; v < kVectors; ++v) sums[r][v] = hn::LoadU(d, at + r * units.width + v * kLanes);
  }
  for (std::int64_t j = first; j < first + kBatchKeys; ++j) {
    const std::byte* row = row_at(values, j);
    if (fetch) {
      const std::byte* ahead = row_ahead(values, next, j);
#pragma GCC unroll 8
      for (int u = 0; u < kUnits; ++u) fetch_unit<kType>(ahead, first_unit + u);
    }
    FloatVector value[kVectors];
#pragma GCC unroll 8
    for (int u = 0; u < kUnits; ++u) {
      Unit<kType>::load(row + offsets[u], value + u * kUnitVectors);
    }
#pragma GCC unroll 4
    for (int r = 0; r < kRows; ++r) {
      const auto weight = hn::Set(d, weights[r * weight_stride + j]);
#pragma GCC unroll 8
      for (int v = 0; v < kVectors; ++v) sums[r][v] = hn::MulAdd(weight, value[v], sums[r][v]);
    }
  }
#pragma GCC unroll 4
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 8
    for (int v = 0; v < kVectors; ++v) hn::StoreU(sums[r][v], d, at + r * units.width + v * kLanes);
  }
}

// The largest power of two of units whose sums fit the registers, at most 8 vectors.
template <DType kType, int kRows>
constexpr int most_units() {
  int units = 8 / Unit<kType>::kVectors;
  while (units > 1 && units * Unit<kType>::kVectors * kRows > kSumVectors) units /= 2;
  return units;
}

template <DType kType, int kRows, int kUnits>
HWY_INLINE void accumulate_batch(const Units<kType>& units,
                                 const float* weights,
                                 std::int64_t weight_stride,
                                 const detail::ListedBytes& values,
                                 const detail::ListedBytes& next,
                                 std::int64_t first,
                                 std::int64_t unit,
                                 bool fetch,
                                 float* out) {
  for (; unit + kUnits <= units.count; unit += kUnits) {
    accumulate_units<kType, kRows, kUnits>(units, weights, weight_stride, values, next, first, unit,
                                           fetch, out);
  }
  if constexpr (kUnits > 1) {
    accumulate_batch<kType, kRows, kUnits / 2>(units, weights, weight_stride, values, next, first,
                                               unit, fetch, out);
  }
}

template <DType kType, int kRows>
HWY_NOINLINE void accumulate_all_units(const Units<kType>& units,
                                       const float* weights,
                                       std::int64_t weight_stride,
                                       const detail::ListedBytes& values,
                                       const detail::ListedBytes& next,
                                       std::int64_t first,
                                       bool fetch,
                                       float* out) {
  accumulate_batch<kType, kRows, most_units<kType, kRows>()>(units, weights, weight_stride, values,
                                                             next, first, 0, fetch, out);
}

template <DType kType>
void accumulate_rows_of(std::int64_t head_dim,
                        const float* weights,
                        std::int64_t weight_stride,
                        int rows,
                        const detail::ListedBytes& values,
                        const detail::ListedBytes& next,
                        const float* scale,
                        float* out) {
  const Units<kType> units(head_dim);
  for (int r = 0; r < rows; ++r) {
    for (std::int64_t i = 0; i < units.width; ++i) out[r * units.width + i] *= scale[r];
  }
  for (std::int64_t j = 0; j < values.count; j += kBatchKeys) {
    for (int r = 0; r < rows; r += kRowsAtOnce) {
      const bool fetch = r == 0;
      const float* weight = weights + r * weight_stride;
      float* target = out + r * units.width;
      switch (std::min(rows - r, kRowsAtOnce)) {
        case 1:
          accumulate_all_units<kType, 1>(units, weight, weight_stride, values, next, j, fetch,
                                         target);
          break;
        case 2:
          accumulate_all_units<kType, 2>(units, weight, weight_stride, values, next, j, fetch,
                                         target);
          break;
        case 3:
          accumulate_all_units<kType, 3>(units, weight, weight_stride, values, next, j, fetch,
                                         target);
          break;
        default:
          accumulate_all_units<kType, 4>(units, weight, weight_stride, values, next, j, fetch,
                                         target);
          break;
      }
    }
  }
}

std::int64_t unit_of(DType dtype) {
  switch (dtype) {
    case DType::kFloat32:
      return Units<DType::kFloat32>::kComponents;
    case DType::kFloat16:
      return Units<DType::kFloat16>::kComponents;
    case DType::kBFloat16:
      return Units<DType::kBFloat16>::kComponents;
  }
  return 0;
}

void score_rows(DType dtype,
                std::int64_t head_dim,
                const float* queries,
                int rows,
                const detail::ListedBytes& keys,
                const detail::ListedBytes& next,
                float* scores,
                std::int64_t stride) {
  switch (dtype) {
    case DType::kFloat32:
      return score_rows_of<DType::kFloat32>(head_dim, queries, rows, keys, next, scores, stride);
    case DType::kFloat16:
      return score_rows_of<DType::kFloat16>(head_dim, queries, rows, keys, next, scores, stride);
    case DType::kBFloat16:
      return score_rows_of<DType::kBFloat16>(head_dim, queries, rows, keys, next, scores, stride);
  }
}

void accumulate_rows(DType dtype,
                     std::int64_t head_dim,
                     const float* weights,
                     std::int64_t weight_stride,
                     int rows,
                     const detail::ListedBytes& values,
                     const detail::ListedBytes& next,
                     const float* scale,
                     float* out) {
  switch (dtype) {
    case DType::kFloat32:
      return accumulate_rows_of<DType::kFloat32>(head_dim, weights, weight_stride, rows, values,
                                                 next, scale, out);
    case DType::kFloat16:
      return accumulate_rows_of<DType::kFloat16>(head_dim, weights, weight_stride, rows, values,
                                                 next, scale, out);
    case DType::kBFloat16:
      return accumulate_rows_of<DType::kBFloat16>(head_dim, weights, weight_stride, rows, values,
                                                  next, scale, out);
  }
}

#endif  // HWY_TARGET == HWY_SCALAR

}  // namespace HWY_NAMESPACE
}  // namespace maskerade
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace maskerade {

HWY_EXPORT(unit_of);
HWY_EXPORT(score_rows);
HWY_EXPORT(accumulate_rows);

namespace detail {
namespace {

// Calls visit(component, place in the ordered row); a component of two units has two places, the
// first one first.
template <class Visit>
void for_each_place(DType dtype, std::int64_t head_dim, const Visit& visit) {
  const std::int64_t unit = HWY_DYNAMIC_DISPATCH(unit_of)(dtype);
  const bool halves = dtype == DType::kBFloat16;
  for (std::int64_t begin = 0; begin < head_dim; begin += unit) {
    const std::int64_t first = std::min(begin, head_dim - unit);
    for (std::int64_t i = 0; i < unit; ++i) {
      visit(first + i, begin + (halves ? i % 2 * (unit / 2) + i / 2 : i));
    }
  }
}

}  // namespace

std::int64_t few_rows_width(DType dtype, std::int64_t head_dim) {
  const std::int64_t unit = HWY_DYNAMIC_DISPATCH(unit_of)(dtype);
  return unit == 0 || head_dim < unit ? 0 : (head_dim + unit - 1) / unit * unit;
}

void order_components(DType dtype, std::int64_t head_dim, const float* components, float* ordered) {
  std::int64_t done = 0;
  for_each_place(dtype, head_dim, [&](std::int64_t component, std::int64_t place) {
    ordered[place] = component < done ? 0.0F : components[component];
    done = std::max(done, component + 1);
  });
}

void restore_components(DType dtype,
                        std::int64_t head_dim,
                        const float* ordered,
                        float* components) {
  for_each_place(dtype, head_dim, [&](std::int64_t component, std::int64_t place) {
    components[component] = ordered[place];
  });
}

void score_few_rows(DType dtype,
                    std::int64_t head_dim,
                    const float* queries,
                    int rows,
                    const ListedBytes& keys,
                    const ListedBytes& next,
                    float* scores,
                    std::int64_t score_stride) {
  HWY_DYNAMIC_DISPATCH(score_rows)
  (dtype, head_dim, queries, rows, keys, next, scores, score_stride);
}

void accumulate_few_rows(DType dtype,
                         std::int64_t head_dim,
                         const float* weights,
                         std::int64_t weight_stride,
                         int rows,
                         const ListedBytes& values,
                         const ListedBytes& next,
                         const float* scale,
                         float* out) {
  HWY_DYNAMIC_DISPATCH(accumulate_rows)
  (dtype, head_dim, weights, weight_stride, rows, values, next, scale, out);
}

}  // namespace detail
}  // namespace maskerade
#endif  // HWY_ONCE
