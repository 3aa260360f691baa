#include "attention/cpu/detail/matrix_operands.hpp"

#include <algorithm>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "attention/cpu/detail/matrix_operands.cpp"
#include "hwy/foreach_target.h"
// Must come after foreach_target.h, so that they are included once for each target.
#include "attention/cpu/detail/softmax-inl.hpp"
#include "framework/select/matrix_tile-inl.hpp"
#include "framework/select/transpose-inl.hpp"
#include "framework/select/widen-inl.hpp"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace maskerade {
namespace HWY_NAMESPACE {

// Absolute values of a row's numbers that are not 0 must lie in [kSmallest, kLargest). From
// kSmallest on the third piece, at least 2^-23 of the number, is a normal number; below kLargest
// sums of thousands of products are finite.
constexpr float kSmallest = 0x1p-100F;
constexpr float kLargest = 0x1p50F;
// Weights below 2^kLeastWeight are taken for 0. Rationale: their pieces would be denormals, and one
// operation on a denormal takes longer than all the rest.
constexpr int kLeastWeight = -100;
constexpr std::int64_t kHalf = 16;  // elements from the first to the second one of a pair

using BitsTag = hn::RebindToUnsigned<FloatTag>;
using BitsVector = hn::Vec<BitsTag>;

// Mask of the bits that a bfloat16 number has of a float32 number.
HWY_INLINE BitsVector piece_bits() { return hn::Set(BitsTag(), 0xFFFF0000U); }

// x rounded to the nearest bfloat16 number, ties away from 0, as a float32 number.
HWY_INLINE FloatVector round_to_piece(FloatVector x) {
  const FloatTag d;
  const BitsTag bits;
  const auto raised = hn::Add(hn::BitCast(bits, x), hn::Set(bits, 0x8000U));
  return hn::BitCast(d, hn::And(raised, piece_bits()));
}

// In each lane the bfloat16 numbers that are the leading 16 bits of `first` (lower half) and of
// `second` (upper half).
HWY_INLINE BitsVector pair_up(FloatVector first, FloatVector second) {
  const BitsTag bits;
  return hn::OrAnd(hn::ShiftRight<16>(hn::BitCast(bits, first)), hn::BitCast(bits, second),
                   piece_bits());
}

// Widens a row of `dim` elements to target[padded], 0 from `dim` on. Whether all its numbers are
// 0 or within [kSmallest, kLargest).
HWY_INLINE bool widen_row(
    DType dtype, const void* row, std::int64_t dim, std::int64_t padded, float* target) {
  const FloatTag d;
  widen(dtype, row, dim, target);
  std::fill(target + dim, target + padded, 0.0F);
  auto fits = hn::Eq(hn::Zero(d), hn::Zero(d));
  for (std::int64_t i = 0; i < padded; i += kLanes) {
    const auto size = hn::Abs(hn::Load(d, target + i));
    const auto normal =
        hn::And(hn::Ge(size, hn::Set(d, kSmallest)), hn::Lt(size, hn::Set(d, kLargest)));
    fits = hn::And(fits, hn::Or(normal, hn::Eq(size, hn::Zero(d))));
  }
  return hn::AllTrue(d, fits);
}

// Splits first[kHalf] and second[kHalf] into pieces. Calls store(piece, i, pairs) for each piece
// and each vector of elements from i on; pairs holds that piece of (first[i], second[i]) and so on.
template <class Store>
HWY_INLINE void split_pairs(const float* first,
                            const float* second,
                            int pieces,
                            const Store& store) {
  const FloatTag d;
  for (std::int64_t i = 0; i < kHalf; i += kLanes) {
    auto a = hn::Load(d, first + i);
    auto b = hn::Load(d, second + i);
    for (int piece = 0; piece < pieces; ++piece) {
      const auto rounded_a = round_to_piece(a);
      const auto rounded_b = round_to_piece(b);
      store(piece, i, pair_up(rounded_a, rounded_b));
      a = hn::Sub(a, rounded_a);
      b = hn::Sub(b, rounded_b);
    }
  }
}

// See make_queries(), make_keys() and make_values().
bool queries(
    DType dtype, const void* const* rows, int count, std::int64_t dim, int pieces, float* target) {
  const BitsTag bits;
  HWY_ALIGN float row[detail::kMostMatrixDim];
  const std::int64_t padded = detail::padded_dim(dim);
  const std::int64_t depth_tiles = padded / detail::kMatrixTileDepth;
  const std::int64_t row_tiles = (count + detail::kMatrixTileRows - 1) / detail::kMatrixTileRows;
  std::fill_n(target, row_tiles * depth_tiles * pieces * detail::kMatrixTileFloats, 0.0F);
  bool fits = true;
  for (int r = 0; r < count; ++r) {
    fits &= widen_row(dtype, rows[r], dim, padded, row);
    for (std::int64_t depth = 0; depth < depth_tiles; ++depth) {
      float* to =
          target +
          (r / detail::kMatrixTileRows * depth_tiles + depth) * pieces * detail::kMatrixTileFloats +
          r % detail::kMatrixTileRows * kHalf;
      const float* from = row + depth * detail::kMatrixTileDepth;
      split_pairs(from, from + kHalf, pieces, [&](int piece, std::int64_t i, auto pairs) HWY_ATTR {
        hn::Store(pairs, bits,
                  reinterpret_cast<std::uint32_t*>(to + piece * detail::kMatrixTileFloats + i));
      });
    }
  }
  return fits;
}

bool keys(
    DType dtype, const void* const* rows, int count, std::int64_t dim, int pieces, float* target) {
  constexpr int kGroup = 16;  // keys that one column tile holds
  const FloatTag d;
  const BitsTag bits;
  HWY_ALIGN float row[detail::kMostMatrixDim];
  // [piece][key][pair]; a right tile has keys as columns, so they are transposed below.
  HWY_ALIGN float pairs_of[detail::kMostPieces][kGroup][detail::kMostMatrixDim / 2];
  const std::int64_t padded = detail::padded_dim(dim);
  const std::int64_t depth_tiles = padded / detail::kMatrixTileDepth;
  bool fits = true;
  for (int first = 0; first < 64; first += kGroup) {
    for (int j = 0; j < kGroup; ++j) {
      if (first + j >= count) {
        for (int piece = 0; piece < pieces; ++piece) {
          std::fill_n(pairs_of[piece][j], padded / 2, 0.0F);
        }
        continue;
      }
      fits &= widen_row(dtype, rows[first + j], dim, padded, row);
      for (std::int64_t depth = 0; depth < depth_tiles; ++depth) {
        const float* from = row + depth * detail::kMatrixTileDepth;
        split_pairs(from, from + kHalf, pieces,
                    [&](int piece, std::int64_t i, auto pairs) HWY_ATTR {
                      float* to = pairs_of[piece][j] + depth * detail::kMatrixTilePairs + i;
                      hn::Store(pairs, bits, reinterpret_cast<std::uint32_t*>(to));
                    });
      }
    }
    for (int piece = 0; piece < pieces; ++piece) {
      for (int j = 0; j < kGroup; j += kLanes) {
        const float* lanes[kLanes];
        for (int lane = 0; lane < kLanes; ++lane) lanes[lane] = pairs_of[piece][j + lane];
        for (std::int64_t pair = 0; pair < padded / 2; pair += 4) {
          FloatVector columns[4];
          load_columns(lanes, pair, columns);
          float* tile =
              target +
              ((first / kGroup * depth_tiles + pair / detail::kMatrixTilePairs) * pieces + piece) *
                  detail::kMatrixTileFloats;
          float* to = tile + pair % detail::kMatrixTilePairs * kGroup + j;
          for (int i = 0; i < 4; ++i) hn::Store(columns[i], d, to + i * kGroup);
        }
      }
    }
  }
  return fits;
}

bool values(
    DType dtype, const void* const* rows, int count, std::int64_t dim, int pieces, float* target) {
  const BitsTag bits;
  HWY_ALIGN float first[detail::kMostMatrixDim];
  HWY_ALIGN float second[detail::kMostMatrixDim];
  const std::int64_t padded = detail::padded_dim(dim);
  const std::int64_t column_tiles = padded / detail::kMatrixTileColumns;
  bool fits = true;
  for (int pair = 0; pair < 2 * detail::kMatrixTilePairs; ++pair) {
    const int depth = pair / static_cast<int>(detail::kMatrixTilePairs);
    const int key = pair + depth * static_cast<int>(kHalf);  // paired with key + kHalf
    if (key < count) {
      fits &= widen_row(dtype, rows[key], dim, padded, first);
    } else {
      std::fill_n(first, padded, 0.0F);
    }
    if (key + kHalf < count) {
      fits &= widen_row(dtype, rows[key + kHalf], dim, padded, second);
    } else {
      std::fill_n(second, padded, 0.0F);
    }
    float* to = target + depth * pieces * detail::kMatrixTileFloats +
                pair % detail::kMatrixTilePairs * detail::kMatrixTileColumns;
    for (std::int64_t column = 0; column < column_tiles; ++column) {
      const std::int64_t from = column * detail::kMatrixTileColumns;
      split_pairs(first + from, second + from, pieces,
                  [&](int piece, std::int64_t i, auto pairs) HWY_ATTR {
                    float* at = to + (column * 2 * pieces + piece) * detail::kMatrixTileFloats + i;
                    hn::Store(pairs, bits, reinterpret_cast<std::uint32_t*>(at));
                  });
    }
  }
  return fits;
}

// Takes a piece of x, its leading 16 bits, and returns the rest of x. `piece` keeps the later bits,
// which pair_up() drops. After kWeightPieces pieces the rest is 0.
HWY_INLINE FloatVector take_piece(FloatVector x, FloatVector& piece) {
  const FloatTag d;
  const BitsTag bits;
  piece = x;
  return hn::Sub(x, hn::BitCast(d, hn::And(hn::BitCast(bits, x), piece_bits())));
}

// Weights 2^(unit * score - base) of one row of scores[64 * blocks], split into pieces in
// `weights`, the row's place in the left tiles. Returns their sums by lane.
HWY_INLINE FloatVector
weigh_in_pieces(const float* scores, float unit, float base, int blocks, float* weights) {
  const FloatTag d;
  const BitsTag bits;
  const auto units = hn::Set(d, unit);
  const auto bases = hn::Set(d, base);
  auto sum = hn::Zero(d);
  for (int tile = 0; tile < 2 * blocks; ++tile) {
    for (std::int64_t i = 0; i < kHalf; i += kLanes) {
      auto a = exp2_of<kLeastWeight>(hn::MulSub(hn::LoadU(d, scores + i), units, bases));
      auto b = exp2_of<kLeastWeight>(hn::MulSub(hn::LoadU(d, scores + kHalf + i), units, bases));
      sum = hn::Add(sum, hn::Add(a, b));
#pragma GCC unroll 3
      for (int piece = 0; piece < detail::kWeightPieces; ++piece) {
        FloatVector first;
        FloatVector second;
        a = take_piece(a, first);
        b = take_piece(b, second);
        float* to = weights + piece * detail::kMatrixTileFloats + i;
        hn::Store(pair_up(first, second), bits, reinterpret_cast<std::uint32_t*>(to));
      }
    }
    scores += detail::kMatrixTileDepth;
    weights += detail::kWeightPieces * detail::kMatrixTileFloats;
  }
  return sum;
}

void step_in_pieces(const detail::SoftmaxStep& step,
                    detail::SoftmaxState& state,
                    float* weights,
                    detail::InterleavedWork& meanwhile) {
  const auto weigh = [&](const float* row_scores, int row, float base) HWY_ATTR {
    meanwhile.advance();
    float* to = weights + row / detail::kMatrixTileRows * detail::kWeightRowTileFloats +
                row % detail::kMatrixTileRows * kHalf;
    return weigh_in_pieces(row_scores, step.unit, base, step.blocks, to);
  };
  weigh_rows(step, weigh, state);
}

}  // namespace HWY_NAMESPACE
}  // namespace maskerade
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace maskerade {

HWY_EXPORT(queries);
HWY_EXPORT(keys);
HWY_EXPORT(values);
HWY_EXPORT(step_in_pieces);

namespace detail {

int pieces_of(DType dtype) {
  return dtype == DType::kBFloat16 ? 1 : dtype == DType::kFloat16 ? 2 : kMostPieces;
}

bool make_queries(DType dtype,
                  std::span<const void* const> rows,
                  std::int64_t head_dim,
                  float* target) {
  return HWY_DYNAMIC_DISPATCH(queries)(dtype, rows.data(), static_cast<int>(rows.size()), head_dim,
                                       pieces_of(dtype), target);
}

bool make_keys(DType dtype,
               std::span<const void* const> rows,
               std::int64_t head_dim,
               float* target) {
  return HWY_DYNAMIC_DISPATCH(keys)(dtype, rows.data(), static_cast<int>(rows.size()), head_dim,
                                    pieces_of(dtype), target);
}

bool make_values(DType dtype,
                 std::span<const void* const> rows,
                 std::int64_t head_dim,
                 float* target) {
  return HWY_DYNAMIC_DISPATCH(values)(dtype, rows.data(), static_cast<int>(rows.size()), head_dim,
                                      pieces_of(dtype), target);
}

void softmax_step_in_pieces(const SoftmaxStep& step,
                            SoftmaxState& state,
                            float* weights,
                            InterleavedWork& meanwhile) {
  HWY_DYNAMIC_DISPATCH(step_in_pieces)(step, state, weights, meanwhile);
}

}  // namespace detail
}  // namespace maskerade
#endif  // HWY_ONCE
