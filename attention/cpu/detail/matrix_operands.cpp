#include "attention/cpu/detail/matrix_operands.hpp"

#include <algorithm>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "attention/cpu/detail/matrix_operands.cpp"
#include "hwy/foreach_target.h"
// After foreach_target: each target reads these once.
#include "attention/cpu/detail/softmax-inl.hpp"
#include "framework/select/matrix_tile-inl.hpp"
#include "framework/select/transpose-inl.hpp"
#include "framework/select/widen-inl.hpp"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace maskerade {
namespace HWY_NAMESPACE {

// What the largest and the smallest number of a row may be. The third piece of a number is at least
// 2^-23 of it; products and sums of thousands of them are finite.
constexpr float kSmallest = 0x1p-100F;
constexpr float kLargest = 0x1p50F;
// Of the highest weight, as a power of 2. Pieces of lower weights would be denormals, each of which
// takes longer than all the rest.
constexpr int kLeastWeight = -100;
constexpr std::int64_t kHalf = 16;  // elements between the two of a pair

using BitsTag = hn::RebindToUnsigned<FloatTag>;
using BitsVector = hn::Vec<BitsTag>;

// The bits of a bfloat16 number within a float32 number.
HWY_INLINE BitsVector piece_bits() { return hn::Set(BitsTag(), 0xFFFF0000U); }

// x rounded to a bfloat16 number, halves away from 0.
HWY_INLINE FloatVector round_to_piece(FloatVector x) {
  const FloatTag d;
  const BitsTag bits;
  const auto raised = hn::Add(hn::BitCast(bits, x), hn::Set(bits, 0x8000U));
  return hn::BitCast(d, hn::And(raised, piece_bits()));
}

// Pairs of the leading 16 bits of each.
HWY_INLINE BitsVector pair_up(FloatVector first, FloatVector second) {
  const BitsTag bits;
  return hn::OrAnd(hn::ShiftRight<16>(hn::BitCast(bits, first)), hn::BitCast(bits, second),
                   piece_bits());
}

// Widens a row and pads it with 0 up to `padded`; whether all its numbers are fit for pieces.
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

// store(piece, i, pairs) takes the pairs (first[i], second[i]) for i < kHalf, piece by piece.
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

bool queries(
    DType dtype, const void* const* rows, int count, std::int64_t dim, int pieces, float* target) {
  const BitsTag bits;
  HWY_ALIGN float row[detail::kMostMatrixDim];
  const std::int64_t padded = detail::padded_dim(dim);
  const std::int64_t depth_tiles = padded / detail::kTileDepth;
  const std::int64_t row_tiles = (count + detail::kTileRows - 1) / detail::kTileRows;
  std::fill_n(target, row_tiles * depth_tiles * pieces * detail::kTileFloats, 0.0F);
  bool fits = true;
  for (int r = 0; r < count; ++r) {
    fits &= widen_row(dtype, rows[r], dim, padded, row);
    for (std::int64_t depth = 0; depth < depth_tiles; ++depth) {
      float* to = target +
                  (r / detail::kTileRows * depth_tiles + depth) * pieces * detail::kTileFloats +
                  r % detail::kTileRows * kHalf;
      const float* from = row + depth * detail::kTileDepth;
      split_pairs(from, from + kHalf, pieces, [&](int piece, std::int64_t i, auto pairs) HWY_ATTR {
        hn::Store(pairs, bits,
                  reinterpret_cast<std::uint32_t*>(to + piece * detail::kTileFloats + i));
      });
    }
  }
  return fits;
}

bool keys(
    DType dtype, const void* const* rows, int count, std::int64_t dim, int pieces, float* target) {
  constexpr int kGroup = 16;  // keys of a column tile
  const FloatTag d;
  const BitsTag bits;
  HWY_ALIGN float row[detail::kMostMatrixDim];
  // Pairs by key, to be turned: [piece][key][pair].
  HWY_ALIGN float pairs_of[detail::kMostPieces][kGroup][detail::kMostMatrixDim / 2];
  const std::int64_t padded = detail::padded_dim(dim);
  const std::int64_t depth_tiles = padded / detail::kTileDepth;
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
        const float* from = row + depth * detail::kTileDepth;
        split_pairs(from, from + kHalf, pieces,
                    [&](int piece, std::int64_t i, auto pairs) HWY_ATTR {
                      float* to = pairs_of[piece][j] + depth * detail::kTilePairs + i;
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
              ((first / kGroup * depth_tiles + pair / detail::kTilePairs) * pieces + piece) *
                  detail::kTileFloats;
          float* to = tile + pair % detail::kTilePairs * kGroup + j;
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
  const std::int64_t column_tiles = padded / detail::kTileColumns;
  bool fits = true;
  for (int pair = 0; pair < 2 * detail::kTilePairs; ++pair) {
    const int depth = pair / static_cast<int>(detail::kTilePairs);
    const int key = pair + depth * static_cast<int>(kHalf);  // and the one kHalf further
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
    float* to = target + depth * pieces * detail::kTileFloats +
                pair % detail::kTilePairs * detail::kTileColumns;
    for (std::int64_t column = 0; column < column_tiles; ++column) {
      const std::int64_t from = column * detail::kTileColumns;
      split_pairs(first + from, second + from, pieces,
                  [&](int piece, std::int64_t i, auto pairs) HWY_ATTR {
                    float* at = to + (column * 2 * pieces + piece) * detail::kTileFloats + i;
                    hn::Store(pairs, bits, reinterpret_cast<std::uint32_t*>(at));
                  });
    }
  }
  return fits;
}

// What is left of x after `piece`, the bits of it that a piece has: after kWeightPieces of them
// nothing is.
HWY_INLINE FloatVector take_piece(FloatVector x, FloatVector& piece) {
  const FloatTag d;
  const BitsTag bits;
  piece = x;
  return hn::Sub(x, hn::BitCast(d, hn::And(hn::BitCast(bits, x), piece_bits())));
}

// The weights of a row as pieces; the lanes' sums.
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
        float* to = weights + piece * detail::kTileFloats + i;
        hn::Store(pair_up(first, second), bits, reinterpret_cast<std::uint32_t*>(to));
      }
    }
    scores += detail::kTileDepth;
    weights += detail::kWeightPieces * detail::kTileFloats;
  }
  return sum;
}

void step_in_pieces(float* scores,
                    float unit,
                    int first_row,
                    int rows,
                    int blocks,
                    const std::uint64_t* const* words,
                    const std::uint64_t* tails,
                    detail::SoftmaxState& state,
                    float* weights,
                    detail::Meanwhile& meanwhile) {
  const auto weigh = [&](const float* row_scores, int row, float base) HWY_ATTR {
    meanwhile.advance();
    float* to = weights + row / detail::kTileRows * detail::kWeightRowTileFloats +
                row % detail::kTileRows * kHalf;
    return weigh_in_pieces(row_scores, unit, base, blocks, to);
  };
  weigh_rows(scores, unit, first_row, rows, blocks, words, tails, weigh, state);
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

void softmax_step_in_pieces(float* scores,
                            float unit,
                            int first_row,
                            int rows,
                            int blocks,
                            const std::uint64_t* const* words,
                            const std::uint64_t* tails,
                            SoftmaxState& state,
                            float* weights,
                            Meanwhile& meanwhile) {
  HWY_DYNAMIC_DISPATCH(step_in_pieces)
  (scores, unit, first_row, rows, blocks, words, tails, state, weights, meanwhile);
}

}  // namespace detail
}  // namespace maskerade
#endif  // HWY_ONCE
