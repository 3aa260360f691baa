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
// fill is 0. Tiles lie in the order in which they are multiplied, so that the processor fetches
// them ahead.
inline constexpr int kMostPieces = 3;
int pieces_of(DType dtype);
// Of a weight. Rationale: two would do for most rows of bfloat16 values and save a third of their
// products, but an error of 2^-17 in a weight passes 1e-5 of the output where values cancel.
inline constexpr int kWeightPieces = kMostPieces;

// The widest rows that operands are made of.
inline constexpr std::int64_t kMostMatrixDim = 256;

// head_dim as operands have it: whole pairs of tiles.
inline std::int64_t padded_dim(std::int64_t head_dim) {
  return (head_dim + kTileDepth - 1) / kTileDepth * kTileDepth;
}

// Each function takes rows of head_dim elements and fills `target`, 64-byte aligned; false: a
// number is too large or too small for all its pieces to be normal numbers (or NaN), and products
// of the operand are not to be used.

// Left tiles [row tile][depth tile][piece] of at most 64 rows. Row tiles without a row are left
// out.
bool make_queries(DType dtype,
                  std::span<const void* const> rows,
                  std::int64_t head_dim,
                  float* target);
// Right tiles [4 column tiles][depth tile][piece] of at most 64 keys.
bool make_keys(DType dtype,
               std::span<const void* const> rows,
               std::int64_t head_dim,
               float* target);
// Right tiles [column tile][2 depth tiles][piece] of the values of at most 64 keys.
bool make_values(DType dtype,
                 std::span<const void* const> rows,
                 std::int64_t head_dim,
                 float* target);

// Rows and key blocks that a step of the online softmax takes with a matrix unit at most: two row
// tiles are multiplied at once, and scores and weights stay in the first-level cache.
inline constexpr int kMatrixRows = 32;
inline constexpr int kMatrixBlocks = 2;
inline constexpr int kMatrixRowTiles = kMatrixRows / kTileRows;
inline constexpr int kStepKeyTiles = kMatrixBlocks * 2;  // of depth

// Left tiles [kMatrixRowTiles][kStepKeyTiles][pieces], row tiles so far apart.
inline constexpr std::int64_t kWeightRowTileFloats = kStepKeyTiles * kWeightPieces * kTileFloats;
inline constexpr std::int64_t kWeightFloats = kMatrixRowTiles * kWeightRowTileFloats;

// Other work to be done meanwhile.
class Meanwhile {
 public:
  virtual ~Meanwhile() = default;
  // Called once a row.
  virtual void advance() = 0;
};

// softmax_step() of scores of which unit * score is the logit, unit > 0; the weights go to
// `weights` as left operands, in kWeightPieces, exactly.
void softmax_step_in_pieces(float* scores,
                            float unit,
                            int first_row,
                            int rows,
                            int blocks,
                            const std::uint64_t* const* words,
                            const std::uint64_t* tails,
                            SoftmaxState& state,
                            float* weights,
                            Meanwhile& meanwhile);

}  // namespace maskerade::detail
