#pragma once

#include <cstdint>
#include <span>

#include "attention/cpu/detail/matrix_unit.hpp"
#include "attention/cpu/detail/softmax_kernel.hpp"
#include "framework/tensor/dtype.hpp"

namespace maskerade::detail {

// Operands of a matrix unit: float32 numbers as sums of bfloat16 pieces, each rounded from what the
// pieces before it left over. That is exact: bfloat16 storage is one piece, float16 two, float32
// three. A product of numbers is then a sum of products of pieces; see matrix_products.hpp.
//
// Within a tile's depth of 32 the elements are in the order 0, 16, 1, 17, ... 15, 31 (the same for
// left and right operands): so pairs of pieces are made without moving lanes. What a tile does not
// fill is 0.
inline constexpr int kMostPieces = 3;
int pieces_of(DType dtype);

// head_dim as operands have it: whole pairs of tiles.
inline std::int64_t padded_dim(std::int64_t head_dim) {
  return (head_dim + kTileDepth - 1) / kTileDepth * kTileDepth;
}

// Each function takes rows of head_dim elements and fills `target`, 64-byte aligned; false: a
// number is too large or too small for all its pieces to be normal numbers (or NaN), and products
// of the operand are not to be used.

// Left tiles [pieces][row tile][depth tile] of at most 64 rows. Row tiles without a row are left
// out.
bool make_queries(DType dtype,
                  std::span<const void* const> rows,
                  std::int64_t head_dim,
                  float* target);
// Right tiles [pieces][depth tile][4 column tiles] of at most 64 keys.
bool make_keys(DType dtype,
               std::span<const void* const> rows,
               std::int64_t head_dim,
               float* target);
// Right tiles [pieces][2 depth tiles][column tile] of the values of at most 64 keys.
bool make_values(DType dtype,
                 std::span<const void* const> rows,
                 std::int64_t head_dim,
                 float* target);

// Rows that a step of the online softmax takes with a matrix unit, and its tiles.
inline constexpr int kMatrixRows = 32;
inline constexpr int kMatrixRowTiles = kMatrixRows / kTileRows;
inline constexpr int kStepKeyTiles = kStepBlocks * 2;  // of depth

// Left tiles [kMostPieces][kMatrixRowTiles][kStepKeyTiles].
inline constexpr std::int64_t kWeightPieceFloats = kMatrixRowTiles * kStepKeyTiles * kTileFloats;

// softmax_step() of scores of which unit * score is the logit, unit > 0; the weights go to
// `weights` as left operands, exact, in three pieces.
void softmax_step_in_pieces(float* scores,
                            float unit,
                            int first_row,
                            int rows,
                            int blocks,
                            const std::uint64_t* const* words,
                            const std::uint64_t* tails,
                            SoftmaxState& state,
                            float* weights);

}  // namespace maskerade::detail
