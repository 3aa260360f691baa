#pragma once

#include <algorithm>
#include <cstdint>
#include <span>

#include "attention/cpu/detail/matrix_operands.hpp"

namespace maskerade::detail {

// How many pieces of the left operand are multiplied with piece `right` of the right operand: those
// of which the products count. A piece is at most 2^-7 of the one before; what is left out is below
// 2^-22 of the product, and of either sign.
inline int left_pieces_for(int right, int left_pieces) {
  return std::min(left_pieces, kMostPieces - right);
}

// Left operands of one depth tile.
struct LeftTiles {
  const float* first = nullptr;
  std::int64_t piece_floats = 0;     // from one piece to the next
  std::int64_t row_tile_floats = 0;  // from one row tile to the next
  int pieces = 0;
};

// Sums of kRowTiles row tiles and one column tile, in tiles kFirst and kFirst + 1.
template <int kFirst, int kRowTiles, class Unit>
struct ColumnSums {
  Unit& unit;

  void clear() {
    unit.template clear<kFirst>();
    if constexpr (kRowTiles == 2) unit.template clear<kFirst + 1>();
  }
  // stride: elements from one row in memory to the next.
  void load(const float* from, std::int64_t stride) {
    unit.template load<kFirst>(from, stride * kBytes);
    if constexpr (kRowTiles == 2) {
      unit.template load<kFirst + 1>(from + kTileRows * stride, stride * kBytes);
    }
  }
  void store(float* to, std::int64_t stride) {
    unit.template store<kFirst>(to, stride * kBytes);
    if constexpr (kRowTiles == 2) {
      unit.template store<kFirst + 1>(to + kTileRows * stride, stride * kBytes);
    }
  }
  // += left . right of one depth tile and all pieces that count. A piece of `right`, which comes
  // from the second-level cache, is loaded once.
  void add(const LeftTiles& left,
           const float* right,
           std::int64_t right_piece_floats,
           int right_pieces) {
    for (int j = 0; j < right_pieces; ++j, right += right_piece_floats) {
      unit.template load<6>(right, kTileRowBytes);
      const float* piece = left.first;
      for (int i = left_pieces_for(j, left.pieces); i > 0; --i, piece += left.piece_floats) {
        unit.template load<4>(piece, kTileRowBytes);
        unit.template multiply_add<kFirst, 4, 6>();
        if constexpr (kRowTiles == 2) {
          unit.template load<5>(piece + left.row_tile_floats, kTileRowBytes);
          unit.template multiply_add<kFirst + 1, 5, 6>();
        }
      }
    }
  }

 private:
  static constexpr std::int64_t kBytes = sizeof(float);
};

// Calls begin(sums, c) and end(sums, c) for column tiles c < count, an even number. The sums of a
// column end after those of the next have begun: stores that wait for their sums would keep the
// next multiplications from starting.
template <int kRowTiles, class Unit, class Begin, class End>
void for_each_column(Unit& unit, std::int64_t count, const Begin& begin, const End& end) {
  ColumnSums<0, kRowTiles, Unit> even{unit};
  ColumnSums<2, kRowTiles, Unit> odd{unit};
  for (std::int64_t column = 0; column < count; column += 2) {
    begin(even, column);
    if (column > 0) end(odd, column - 1);
    begin(odd, column + 1);
    end(even, column);
  }
  end(odd, count - 1);
}

// scores[16 * kRowTiles][64 b ... 64 b + 64) = queries . keys of block b. queries: depth tile 0;
// blocks: as make_keys() leaves them, in as many pieces.
template <int kRowTiles, class Unit>
void multiply_keys(Unit& unit,
                   const LeftTiles& queries,
                   std::span<const float* const> blocks,
                   std::int64_t depth_tiles,
                   float* scores) {
  constexpr std::int64_t kBlockColumns = 4;
  const auto begin = [&](auto& sums, std::int64_t column) {
    sums.clear();
    LeftTiles left = queries;
    const float* right = blocks[static_cast<std::size_t>(column / kBlockColumns)] +
                         column % kBlockColumns * kTileFloats;
    for (std::int64_t depth = 0; depth < depth_tiles; ++depth) {
      sums.add(left, right, depth_tiles * kBlockColumns * kTileFloats, queries.pieces);
      left.first += kTileFloats;
      right += kBlockColumns * kTileFloats;
    }
  };
  for_each_column<kRowTiles>(unit, static_cast<std::int64_t>(blocks.size()) * kBlockColumns, begin,
                             [&](auto& sums, std::int64_t column) {
                               sums.store(scores + column * kTileColumns, kScoreStride);
                             });
}

// out[16 * kRowTiles][dim] += weights . values. weights: as softmax_step_in_pieces() leaves them;
// blocks[b]: the values of the step's block b as make_values() leaves them, in `pieces` pieces.
// dim: see padded_dim().
template <int kRowTiles, class Unit>
void add_weighted_values(Unit& unit,
                         const float* weights,
                         std::span<const float* const> blocks,
                         int pieces,
                         std::int64_t dim,
                         float* out) {
  const std::int64_t column_tiles = dim / kTileColumns;
  const auto begin = [&](auto& sums, std::int64_t column) {
    sums.load(out + column * kTileColumns, dim);
    LeftTiles left{.first = weights,
                   .piece_floats = kWeightPieceFloats,
                   .row_tile_floats = kStepKeyTiles * kTileFloats,
                   .pieces = kMostPieces};
    for (const float* block : blocks) {
      for (std::int64_t depth = 0; depth < 2; ++depth, left.first += kTileFloats) {
        sums.add(left, block + (depth * column_tiles + column) * kTileFloats,
                 2 * column_tiles * kTileFloats, pieces);
      }
    }
  };
  for_each_column<kRowTiles>(unit, column_tiles, begin, [&](auto& sums, std::int64_t column) {
    sums.store(out + column * kTileColumns, dim);
  });
}

}  // namespace maskerade::detail
