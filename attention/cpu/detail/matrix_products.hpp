#pragma once

#include <algorithm>
#include <cstdint>
#include <span>

#include "attention/cpu/detail/matrix_operands.hpp"

namespace maskerade::detail {

// Calls body(left, right) for the pieces whose products are counted, the small ones first. A piece
// is at most 2^-8 of the one before, so what is left out is at most 2^-24 of the product, as is
// float32's rounding.
template <class Body>
void for_each_product(int left_pieces, int right_pieces, const Body& body) {
  for (int order = std::min(left_pieces + right_pieces, kMostPieces + 1) - 2; order >= 0; --order) {
    for (int left = 0; left <= order; ++left) {
      if (left < left_pieces && order - left < right_pieces) body(left, order - left);
    }
  }
}

// Tiles 0 ... 3 are sums, [row tile][column tile]; two left and two right tiles are multiplied.
template <int kRowTiles, class Unit>
void multiply_pair(Unit& unit,
                   const float* left,
                   std::int64_t row_tile_floats,
                   const float* right) {
  unit.template load<4>(left, kTileRowBytes);
  unit.template load<6>(right, kTileRowBytes);
  unit.template multiply_add<0, 4, 6>();
  unit.template load<7>(right + kTileFloats, kTileRowBytes);
  unit.template multiply_add<1, 4, 7>();
  if constexpr (kRowTiles == 2) {
    unit.template load<5>(left + row_tile_floats, kTileRowBytes);
    unit.template multiply_add<2, 5, 6>();
    unit.template multiply_add<3, 5, 7>();
  }
}

template <int kRowTiles, class Unit>
void load_sums(Unit& unit, const float* from, std::int64_t stride) {
  const auto stride_bytes = stride * static_cast<std::int64_t>(sizeof(float));
  unit.template load<0>(from, stride_bytes);
  unit.template load<1>(from + kTileColumns, stride_bytes);
  if constexpr (kRowTiles == 2) {
    unit.template load<2>(from + kTileRows * stride, stride_bytes);
    unit.template load<3>(from + kTileRows * stride + kTileColumns, stride_bytes);
  }
}

template <int kRowTiles, class Unit>
void store_sums(Unit& unit, float* to, std::int64_t stride) {
  const auto stride_bytes = stride * static_cast<std::int64_t>(sizeof(float));
  unit.template store<0>(to, stride_bytes);
  unit.template store<1>(to + kTileColumns, stride_bytes);
  if constexpr (kRowTiles == 2) {
    unit.template store<2>(to + kTileRows * stride, stride_bytes);
    unit.template store<3>(to + kTileRows * stride + kTileColumns, stride_bytes);
  }
}

// A step's queries: kRowTiles row tiles of left operands.
struct QueryTiles {
  const float* first = nullptr;
  std::int64_t piece_floats = 0;  // from one piece to the next
  std::int64_t depth_tiles = 0;
  int pieces = 0;
};

// scores[16 * kRowTiles][64] = queries . keys, `keys` as make_keys() leaves them.
template <int kRowTiles, class Unit>
void multiply_keys(Unit& unit, const QueryTiles& queries, const float* keys, float* scores) {
  const std::int64_t row_tile_floats = queries.depth_tiles * kTileFloats;
  for (int column = 0; column < 4; column += 2) {
    unit.template clear<0>();
    unit.template clear<1>();
    unit.template clear<2>();
    unit.template clear<3>();
    for_each_product(queries.pieces, queries.pieces, [&](int left, int right) {
      for (std::int64_t depth = 0; depth < queries.depth_tiles; ++depth) {
        multiply_pair<kRowTiles>(
            unit, queries.first + left * queries.piece_floats + depth * kTileFloats,
            row_tile_floats,
            keys + ((right * queries.depth_tiles + depth) * 4 + column) * kTileFloats);
      }
    });
    store_sums<kRowTiles>(unit, scores + column * kTileColumns, kScoreStride);
  }
}

// out[16 * kRowTiles][dim] += weights . values. weights: as softmax_step_in_pieces() leaves them,
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
  for (std::int64_t column = 0; column < column_tiles; column += 2) {
    load_sums<kRowTiles>(unit, out + column * kTileColumns, dim);
    for (std::size_t b = 0; b < blocks.size(); ++b) {
      for_each_product(kMostPieces, pieces, [&](int left, int right) {
        for (std::int64_t depth = 0; depth < 2; ++depth) {
          multiply_pair<kRowTiles>(
              unit,
              weights + left * kWeightPieceFloats +
                  (2 * static_cast<std::int64_t>(b) + depth) * kTileFloats,
              kStepKeyTiles * kTileFloats,
              blocks[b] + ((2 * right + depth) * column_tiles + column) * kTileFloats);
        }
      });
    }
    store_sums<kRowTiles>(unit, out + column * kTileColumns, dim);
  }
}

}  // namespace maskerade::detail
