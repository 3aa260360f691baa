#pragma once

#include <algorithm>
#include <cstdint>

#include "attention/cpu/detail/matrix_operands.hpp"

namespace maskerade::detail {

// How many pieces of the left operand, from the first on, are multiplied with piece `right` of the
// right operand. Rationale: a piece is at most 2^-7 of the one before, so that the products left
// out are below 2^-22 of the whole, and of either sign.
inline int left_pieces_for(int right, int left_pieces) {
  return std::min(left_pieces, kMostPieces - right);
}

// The left tiles of one depth tile, [row tile][pieces] with row_tile_floats between row tiles. A
// view of memory that make_queries() or softmax_step_in_pieces() filled.
struct LeftTiles {
  const float* first = nullptr;
  std::int64_t row_tile_floats = 0;  // from one row tile to the next
  int pieces = 0;
};

// The sums of one column tile and kRowTiles (1 or 2) row tiles, which the unit holds in its tiles
// kFirst and kFirst + 1. Tiles 4 ... 6 hold operands.
template <int kFirst, int kRowTiles, class Unit>
struct ColumnSums {
  Unit& unit;

  void clear() {
    unit.template clear<kFirst>();
    if constexpr (kRowTiles == 2) unit.template clear<kFirst + 1>();
  }
  // Reads the sums from memory, float32 [16 kRowTiles][16]; stride: floats from one row to the
  // next.
  void load(const float* from, std::int64_t stride) {
    unit.template load<kFirst>(from, stride * kBytes);
    if constexpr (kRowTiles == 2) {
      unit.template load<kFirst + 1>(from + kMatrixTileRows * stride, stride * kBytes);
    }
  }
  void store(float* to, std::int64_t stride) {
    unit.template store<kFirst>(to, stride * kBytes);
    if constexpr (kRowTiles == 2) {
      unit.template store<kFirst + 1>(to + kMatrixTileRows * stride, stride * kBytes);
    }
  }
  // Adds the products of one depth tile, over the pieces that left_pieces_for() keeps. right:
  // [right_pieces] tiles. Rationale: the loop is over right pieces, since each comes from the
  // second-level cache and is so loaded once; left ones are in the first-level cache.
  void add(const LeftTiles& left, const float* right, int right_pieces) {
    for (int j = 0; j < right_pieces; ++j, right += kMatrixTileFloats) {
      unit.template load<6>(right, kMatrixTileRowBytes);
      const float* piece = left.first;
      for (int i = left_pieces_for(j, left.pieces); i > 0; --i, piece += kMatrixTileFloats) {
        unit.template load<4>(piece, kMatrixTileRowBytes);
        unit.template multiply_add<kFirst, 4, 6>();
        if constexpr (kRowTiles == 2) {
          unit.template load<5>(piece + left.row_tile_floats, kMatrixTileRowBytes);
          unit.template multiply_add<kFirst + 1, 5, 6>();
        }
      }
    }
  }

 private:
  static constexpr std::int64_t kBytes = sizeof(float);
};

// A product of a left operand of one or two row tiles and the right operands of a step's key
// blocks. A view: the memory belongs to the caller.
struct Product {
  LeftTiles left;                        // of depth tile 0; those of the next depth tiles follow
  int row_tiles = 0;                     // 1 or 2
  const float* const* blocks = nullptr;  // the right tiles of each key block
  int columns = 0;                       // column tiles, an even number
  int depths = 0;                        // depth tiles
  // A block holds right tiles [column tile][depth tile][piece]. true: it is four column tiles, its
  // keys, and all depth tiles. false: it is two depth tiles, the keys of its values, and all column
  // tiles.
  bool blocks_are_columns = false;
  int right_pieces = 0;
  float* sums = nullptr;    // [16 row_tiles][16 columns]
  std::int64_t stride = 0;  // elements from one row of sums to the next
  bool adds = false;        // to the sums in memory; otherwise from 0

  // The right tiles [right_pieces] of a column tile and a depth tile.
  const float* right(int column, int depth) const {
    constexpr int kBlockColumns = 4;
    constexpr int kBlockDepths = 2;
    if (blocks_are_columns) {
      return blocks[column / kBlockColumns] +
             (column % kBlockColumns * depths + depth) * right_pieces * kMatrixTileFloats;
    }
    return blocks[depth / kBlockDepths] +
           (column * kBlockDepths + depth % kBlockDepths) * right_pieces * kMatrixTileFloats;
  }
  // How often ProductRun::advance() is called until the product is done.
  int parts() const { return columns * depths; }
};

// A product that is computed part by part, so that other work can go on between the parts. A part
// is one column tile and one depth tile. unit and the product's memory outlive it.
template <class Unit>
class ProductRun {
 public:
  ProductRun(Unit& unit, const Product& product) : unit_(unit), product_(product) {}

  bool is_done() const { return column_ == product_.columns; }
  // Computes the next part. Requires !is_done().
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
    // Rationale: a column tile is stored after the next one is under way, since a store waits for
    // its sums and would keep the next products from starting.
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
    left.first += depth * left.pieces * kMatrixTileFloats;
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

  float* at(int column) const { return product_.sums + column * kMatrixTileColumns; }

  Unit& unit_;
  Product product_;
  int column_ = 0;  // column tile and depth tile of the next part
  int depth_ = 0;
};

}  // namespace maskerade::detail
