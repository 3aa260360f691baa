#pragma once

#include <cstdint>
#include <span>

#include "attention/cpu/detail/matrix_unit.hpp"
#include "attention/cpu/detail/softmax_kernel.hpp"
#include "framework/tensor/dtype.hpp"

namespace maskerade::detail {

// Operands of a matrix unit. A float32 number is split into bfloat16 pieces whose sum it is: each
// piece is rounded from what the pieces before it left over. The split is exact; a bfloat16 number
// has one piece, a float16 number two, a float32 number three. A product of numbers is then a sum
// of products of pieces; see matrix_products.hpp.
//
// Rationale: within a tile's depth of 32 the elements stand in the order 0, 16, 1, 17, ... 15, 31
// (the same for left and right operands), so that pairs of pieces are made without moving lanes.
// Tiles lie in memory in the order in which they are multiplied, so that the processor prefetches
// them. Elements of a tile beyond the operand's are 0.
inline constexpr int kMostPieces = 3;
// Pieces of a number stored as dtype: 1 ... kMostPieces.
int pieces_of(DType dtype);
// Pieces of a softmax weight. Rationale: two would do for most rows of bfloat16 values and save a
// third of their products, but an error of 2^-17 in a weight passes 1e-5 of the output where values
// cancel.
inline constexpr int kWeightPieces = kMostPieces;

// The largest head_dim that operands are made for.
inline constexpr std::int64_t kMostMatrixDim = 256;

// head_dim rounded up to a multiple of a tile's depth, as operands are padded.
inline std::int64_t padded_dim(std::int64_t head_dim) {
  return (head_dim + kMatrixTileDepth - 1) / kMatrixTileDepth * kMatrixTileDepth;
}

// make_queries(), make_keys() and make_values() read rows of head_dim elements stored as dtype and
// write the tiles of an operand to `target`, which is aligned to 64 bytes and belongs to the
// caller. They return false when the operand must not be multiplied: some number is NaN, or too
// large or too small for all its pieces to be normal numbers.

// Left tiles [row tile][depth tile][piece] of at most 64 queries. As many row tiles as the rows
// need are written.
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

// The most rows and key blocks of one step of the online softmax on a matrix unit: as many that two
// row tiles are multiplied at once and scores and weights stay in the first-level cache.
inline constexpr int kMatrixRows = 32;
inline constexpr int kMatrixBlocks = 2;
inline constexpr int kMatrixRowTiles = kMatrixRows / kMatrixTileRows;
inline constexpr int kStepKeyTiles = kMatrixBlocks * 2;  // depth tiles of a step's keys

// The weights of a step are left operands of the matrix unit, an array of tiles
// [kMatrixRowTiles][kStepKeyTiles][kWeightPieces]. kWeightRowTileFloats is the distance from one
// row tile to the next, kWeightFloats the size of the whole array, both in floats.
inline constexpr std::int64_t kWeightRowTileFloats =
    kStepKeyTiles * kWeightPieces * kMatrixTileFloats;
inline constexpr std::int64_t kWeightFloats = kMatrixRowTiles * kWeightRowTileFloats;

// Work that goes on while another computation runs, a share at a time.
class InterleavedWork {
 public:
  virtual ~InterleavedWork() = default;
  // Does the next share. softmax_step_in_pieces() calls it once for each row.
  virtual void advance() = 0;
};

// softmax_step() whose weights become a left operand: writes them, split exactly into kWeightPieces
// pieces, to weights[kWeightFloats]. step.blocks is at most kMatrixBlocks; step.scores keep their
// values except that inactive ones become -inf. Weights below 2^-100 become 0.
void softmax_step_in_pieces(const SoftmaxStep& step,
                            SoftmaxState& state,
                            float* weights,
                            InterleavedWork& meanwhile);

}  // namespace maskerade::detail
