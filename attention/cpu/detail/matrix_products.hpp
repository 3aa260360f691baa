#pragma once

#include <algorithm>
#include <cstdint>

#include "attention/cpu/detail/matrix_operands.hpp"

namespace maskerade::detail {

// How many pieces of the left operand are multiplied with piece `right` of the right operand: those
// of which the products count. A piece is at most 2^-7 of the one before; what is left out is below
// 2^-22 of the product, and of either sign.
inline int left_pieces_for(int right, int left_pieces) {
  return std::min(left_pieces, kMostPieces - right);
}

// Left operands of one depth tile: their pieces.
struct LeftTiles {
  const float* first = nullptr;
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
  void add(const LeftTiles& left, const float* right, int right_pieces) {
    for (int j = 0; j < right_pieces; ++j, right += kTileFloats) {
      unit.template load<6>(right, kTileRowBytes);
      const float* piece = left.first;
      for (int i = left_pieces_for(j, left.pieces); i > 0; --i, piece += kTileFloats) {
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

// A product of a left operand of one or two row tiles and the right operands of some blocks.
struct Product {
  LeftTiles left;     // depth tile 0
  int row_tiles = 0;  // 1 or 2
  const float* const* blocks = nullptr;
  int columns = 0;  // column tiles, an even number
  int depths = 0;   // depth tiles
  // Right tiles are [column tile][depth tile][piece], where a block is four columns (keys) or two
  // depths (values).
  bool blocks_are_columns = false;
  int right_pieces = 0;
  float* sums = nullptr;    // [16 row_tiles][16 columns]
  std::int64_t stride = 0;  // elements from one row of sums to the next
  bool adds = false;        // to what is there

  const float* right(int column, int depth) const {
    constexpr int kBlockColumns = 4;
    constexpr int kBlockDepths = 2;
    if (blocks_are_columns) {
      return blocks[column / kBlockColumns] +
             (column % kBlockColumns * depths + depth) * right_pieces * kTileFloats;
    }
    return blocks[depth / kBlockDepths] +
           (column * kBlockDepths + depth % kBlockDepths) * right_pieces * kTileFloats;
  }
  int parts() const { return columns * depths; }
};

// Multiplies part by part, so that other work can go on between the parts.
template <class Unit>
class ProductRun {
 public:
  ProductRun(Unit& unit, const Product& product) : unit_(unit), product_(product) {}

  bool is_done() const { return column_ == product_.columns; }
  // The next part: one column tile and one depth tile.
  void advance() {
    if (product_.row_tiles == 2) {
      advance_by<2>();
    } else {
      advance_by<1>();
    }
  }

 private:
  template <int kRowTiles>
  void advance_by() {
    if (column_ % 2 == 0) {
      multiply(ColumnSums<0, kRowTiles, Unit>{unit_}, column_, depth_);
    } else {
      multiply(ColumnSums<2, kRowTiles, Unit>{unit_}, column_, depth_);
    }
    if (++depth_ < product_.depths) return;
    // A column is stored after the next one is under way: stores that wait for their sums would
    // keep the next multiplications from starting.
    if (column_ > 0) store<kRowTiles>(column_ - 1);
    depth_ = 0;
    ++column_;
    if (is_done()) store<kRowTiles>(column_ - 1);
  }

  template <class Sums>
  void multiply(Sums sums, int column, int depth) {
    if (depth == 0 && product_.adds) sums.load(at(column), product_.stride);
    if (depth == 0 && !product_.adds) sums.clear();
    LeftTiles left = product_.left;
    left.first += depth * left.pieces * kTileFloats;
    sums.add(left, product_.right(column, depth), product_.right_pieces);
  }

  template <int kRowTiles>
  void store(int column) {
    if (column % 2 == 0) {
      ColumnSums<0, kRowTiles, Unit>{unit_}.store(at(column), product_.stride);
    } else {
      ColumnSums<2, kRowTiles, Unit>{unit_}.store(at(column), product_.stride);
    }
  }

  float* at(int column) const { return product_.sums + column * kTileColumns; }

  Unit& unit_;
  Product product_;
  int column_ = 0;  // of the next part
  int depth_ = 0;
};

}  // namespace maskerade::detail
