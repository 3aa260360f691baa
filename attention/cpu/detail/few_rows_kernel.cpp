#include "attention/cpu/detail/few_rows_kernel.hpp"

#include <algorithm>
#include <cstring>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "attention/cpu/detail/few_rows_kernel.cpp"
#include "hwy/foreach_target.h"
// Must come after foreach_target.h, so that it is included once for each target.
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace maskerade {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

#if HWY_TARGET == HWY_SCALAR

// SCALAR has no vectors: few_rows_width() is 0 and the others are not called.
std::int64_t unit_of(DType) { return 0; }
void score_rows(const detail::FewRowsScores&) {}
void accumulate_rows(const detail::FewRowsSums&) {}

#else

using FloatTag = hn::ScalableTag<float>;
using FloatVector = hn::Vec<FloatTag>;
inline constexpr int kLanes = static_cast<int>(hn::MaxLanes(FloatTag()));
static_assert(kLanes == 4 || kLanes == 8 || kLanes == 16,
              "sums_of_lanes is written for vectors of 128, 256 and 512 bits");

// Rows that are multiplied together, their sums held in registers.
inline constexpr int kRowsAtOnce = 4;
// Vector registers for sums: as many as leave enough for values and weights.
inline constexpr int kSumVectors = kLanes == 16 ? 24 : 12;
// Keys that all rows read one after the other, so that they stay in the first-level cache
// meanwhile.
inline constexpr std::int64_t kBatchKeys = 16;
// How many keys lie between the one in use and the one being prefetched.
inline constexpr std::int64_t kFetchAhead = 32;

// A unit is as many stored components of a row as are loaded and widened at once. load() widens the
// unit at `at` to kVectors vectors.
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
// Gives the even components, then the odd ones. Rationale: that takes two operations, and widening
// in order takes four. It is why ordered rows exist.
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

// How a row of head_dim components is divided into units. A unit begins at every multiple of
// kComponents; the last one is moved back so that it ends with the row, and may then repeat
// components of the unit before (order_components() sets the repeated ones of the other operand
// to 0).
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

  std::int64_t count;       // units of a row
  std::int64_t width;       // floats of an ordered row
  std::int64_t last_bytes;  // where the last unit begins
};

HWY_INLINE const std::byte* row_at(const detail::ListedBytes& rows, std::int64_t j) {
  return rows.first + rows.stride_bytes * rows.list[j];
}

// The row to prefetch while row j of `rows` is used: kFetchAhead rows further on, counted through
// `rows` and then `next`; row j itself when both end before.
HWY_INLINE const std::byte* row_ahead(const detail::ListedBytes& rows,
                                      const detail::ListedBytes& next,
                                      std::int64_t j) {
  const std::int64_t ahead = j + kFetchAhead;
  if (ahead < rows.count) return row_at(rows, ahead);
  return ahead - rows.count < next.count ? row_at(next, ahead - rows.count) : row_at(rows, j);
}

// Prefetches the cache line of `row` that begins within unit `unit`, if one does, into the
// second-level cache. Called between the products of each unit, so that reads from memory never
// pause. Rationale: so many lines in flight would evict what is in use from the first level.
template <DType kType>
HWY_INLINE void fetch_unit(const std::byte* row, std::int64_t unit) {
  constexpr std::int64_t kUnitsPerLine =
      std::max<std::int64_t>(1, 64 / (Units<kType>::kComponents * Units<kType>::kSize));
  if (unit % kUnitsPerLine == 0) {
    __builtin_prefetch(row + unit * Units<kType>::kComponents * Units<kType>::kSize, 0, 2);
  }
}

// The lower half of the result is the sum of the two halves of `low`, the upper one that of `high`.
HWY_INLINE FloatVector add_halves(FloatVector low, FloatVector high) {
  const FloatTag d;
  return hn::Add(hn::ConcatLowerLower(d, high, low), hn::ConcatUpperUpper(d, high, low));
}

// Lane i of the result's 128-bit block b is the sum of the four lanes of block b of sums[i], for
// i < 4.
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

// Keys whose scores with kRows rows fill a vector; with three rows a quarter of it is left unused.
template <int kRows>
inline constexpr int kKeysAtOnce = kLanes / (kRows == 3 ? 4 : kRows);

// Scores of rows row ... row + kRows - 1 with kKeysAtOnce keys from key `first` on. kFetch: whether
// to prefetch keys meanwhile.
template <DType kType, int kRows, bool kFetch>
HWY_INLINE void score_keys(const detail::FewRowsScores& product,
                           const Units<kType>& units,
                           int row,
                           std::int64_t first) {
  const detail::ListedBytes& keys = product.keys;
  const std::int64_t score_stride = product.score_stride;
  const float* HWY_RESTRICT queries = product.queries + row * units.width;
  float* HWY_RESTRICT scores = product.scores + row * score_stride;
  constexpr int kKeys = kKeysAtOnce<kRows>;
  constexpr int kVectors = Unit<kType>::kVectors;
  const FloatTag d;
  const std::byte* rows[kKeys];
  const std::byte* ahead[kKeys];
#pragma GCC unroll 16
  for (int j = 0; j < kKeys; ++j) {
    rows[j] = row_at(keys, first + j);
    if constexpr (kFetch) ahead[j] = row_ahead(keys, product.next, first + j);
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

// The same with kBatchKeys keys. The first rows prefetch for all.
template <DType kType, int kRows>
HWY_NOINLINE void score_batch(const detail::FewRowsScores& product,
                              const Units<kType>& units,
                              int row,
                              std::int64_t first) {
  constexpr int kKeys = kKeysAtOnce<kRows>;
  for (std::int64_t j = first; j < first + kBatchKeys; j += kKeys) {
    if (row == 0) {
      score_keys<kType, kRows, true>(product, units, row, j);
    } else {
      score_keys<kType, kRows, false>(product, units, row, j);
    }
  }
}

template <DType kType>
void score_rows_of(const detail::FewRowsScores& product) {
  const Units<kType> units(product.head_dim);
  for (std::int64_t j = 0; j < product.keys.count; j += kBatchKeys) {
    for (int r = 0; r < product.rows; r += kRowsAtOnce) {
      switch (std::min(product.rows - r, kRowsAtOnce)) {
        case 1:
          score_batch<kType, 1>(product, units, r, j);
          break;
        case 2:
          score_batch<kType, 2>(product, units, r, j);
          break;
        case 3:
          score_batch<kType, 3>(product, units, r, j);
          break;
        default:
          score_batch<kType, 4>(product, units, r, j);
          break;
      }
    }
  }
}

// Adds kBatchKeys weighted values, from value `first` on, to rows row ... row + kRows - 1 of out,
// of each of which kUnits units from unit `first_unit` on.
template <DType kType, int kRows, int kUnits>
HWY_INLINE void accumulate_units(const detail::FewRowsSums& product,
                                 const Units<kType>& units,
                                 int row,
                                 std::int64_t first,
                                 std::int64_t first_unit) {
  const detail::ListedBytes& values = product.values;
  const std::int64_t weight_stride = product.weight_stride;
  const float* HWY_RESTRICT weights = product.weights + row * weight_stride;
  float* HWY_RESTRICT out = product.out + row * units.width;
  const bool fetch = row == 0;  // the first rows prefetch for all
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
    const std::byte* stored = row_at(values, j);
    if (fetch) {
      const std::byte* ahead = row_ahead(values, product.next, j);
#pragma GCC unroll 8
      for (int u = 0; u < kUnits; ++u) fetch_unit<kType>(ahead, first_unit + u);
    }
    FloatVector value[kVectors];
#pragma GCC unroll 8
    for (int u = 0; u < kUnits; ++u) {
      Unit<kType>::load(stored + offsets[u], value + u * kUnitVectors);
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

// How many units accumulate_units() takes at once with kRows rows: the largest power of two whose
// sums fit kSumVectors registers, and at most 8 vectors a row.
template <DType kType, int kRows>
constexpr int most_units() {
  int units = 8 / Unit<kType>::kVectors;
  while (units > 1 && units * Unit<kType>::kVectors * kRows > kSumVectors) units /= 2;
  return units;
}

// The same for all units from `unit` on: kUnits at once, and half as many of what is left.
template <DType kType, int kRows, int kUnits>
HWY_INLINE void accumulate_batch(const detail::FewRowsSums& product,
                                 const Units<kType>& units,
                                 int row,
                                 std::int64_t first,
                                 std::int64_t unit) {
  for (; unit + kUnits <= units.count; unit += kUnits) {
    accumulate_units<kType, kRows, kUnits>(product, units, row, first, unit);
  }
  if constexpr (kUnits > 1) {
    accumulate_batch<kType, kRows, kUnits / 2>(product, units, row, first, unit);
  }
}

template <DType kType, int kRows>
HWY_NOINLINE void accumulate_all_units(const detail::FewRowsSums& product,
                                       const Units<kType>& units,
                                       int row,
                                       std::int64_t first) {
  accumulate_batch<kType, kRows, most_units<kType, kRows>()>(product, units, row, first, 0);
}

template <DType kType>
void accumulate_rows_of(const detail::FewRowsSums& product) {
  const Units<kType> units(product.head_dim);
  for (int r = 0; r < product.rows; ++r) {
    float* out = product.out + r * units.width;
    for (std::int64_t i = 0; i < units.width; ++i) out[i] *= product.scale[r];
  }
  for (std::int64_t j = 0; j < product.values.count; j += kBatchKeys) {
    for (int r = 0; r < product.rows; r += kRowsAtOnce) {
      switch (std::min(product.rows - r, kRowsAtOnce)) {
        case 1:
          accumulate_all_units<kType, 1>(product, units, r, j);
          break;
        case 2:
          accumulate_all_units<kType, 2>(product, units, r, j);
          break;
        case 3:
          accumulate_all_units<kType, 3>(product, units, r, j);
          break;
        default:
          accumulate_all_units<kType, 4>(product, units, r, j);
          break;
      }
    }
  }
}

// Components of a unit.
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

void score_rows(const detail::FewRowsScores& product) {
  switch (product.dtype) {
    case DType::kFloat32:
      return score_rows_of<DType::kFloat32>(product);
    case DType::kFloat16:
      return score_rows_of<DType::kFloat16>(product);
    case DType::kBFloat16:
      return score_rows_of<DType::kBFloat16>(product);
  }
}

void accumulate_rows(const detail::FewRowsSums& product) {
  switch (product.dtype) {
    case DType::kFloat32:
      return accumulate_rows_of<DType::kFloat32>(product);
    case DType::kFloat16:
      return accumulate_rows_of<DType::kFloat16>(product);
    case DType::kBFloat16:
      return accumulate_rows_of<DType::kBFloat16>(product);
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

// Calls visit(component, index) for every index of an ordered row: component `component` stands at
// `index`. A component that two units hold stands at two indices; the one of the earlier unit is
// visited first.
template <class Visit>
void for_each_component(DType dtype, std::int64_t head_dim, const Visit& visit) {
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
  for_each_component(dtype, head_dim, [&](std::int64_t component, std::int64_t index) {
    // A component that an earlier unit holds counts once.
    ordered[index] = component < done ? 0.0F : components[component];
    done = std::max(done, component + 1);
  });
}

void restore_components(DType dtype,
                        std::int64_t head_dim,
                        const float* ordered,
                        float* components) {
  for_each_component(dtype, head_dim, [&](std::int64_t component, std::int64_t index) {
    components[component] = ordered[index];
  });
}

void score_few_rows(const FewRowsScores& product) { HWY_DYNAMIC_DISPATCH(score_rows)(product); }

void accumulate_few_rows(const FewRowsSums& product) {
  HWY_DYNAMIC_DISPATCH(accumulate_rows)(product);
}

}  // namespace detail
}  // namespace maskerade
#endif  // HWY_ONCE
