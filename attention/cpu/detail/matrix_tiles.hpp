#pragma once

#include <cstdint>
#include <span>

#include "attention/cpu/detail/matrix_operands.hpp"
#include "attention/cpu/detail/shared_tiles.hpp"
#include "attention/plan.hpp"
#include "framework/pipeline/attention_inputs.hpp"

namespace maskerade::detail {

// Attention over tiles of keys with a matrix unit: see matrix_operands.hpp for how float32 numbers
// are multiplied. Errors are those of float32 arithmetic, whatever the storage.
//
// Operands that hold a number which pieces do not serve (NaN, infinite, tiny or huge, see
// make_queries()) say so; a step with one of them is to be taken with vectors.
class MatrixTiles : public TileForm {
 public:
  // unit: not kNone. inputs stay.
  MatrixTiles(const AttentionInputs& inputs, MatrixUnit unit);

  // Whether tiles serve these inputs and are faster than vectors.
  static bool serve(const AttentionInputs& inputs, MatrixUnit unit);
  static bool serve(DType dtype, std::int64_t head_dim, MatrixUnit unit);

  // Elements of a row of sums of values.
  std::int64_t value_dim() const { return padded_dim(inputs_.shape.head_dim); }
  std::int64_t query_floats() const;
  static std::int64_t weight_floats() { return kMostPieces * kWeightPieceFloats; }

  // A row block's queries.
  void load_queries(std::span<const void* const> rows, float* queries) const;
  void make_keys(std::span<const void* const> rows, float* keys) const override;
  void make_values(std::span<const void* const> rows, float* values) const override;
  // Whether the queries, keys or values are fit for tiles.
  static bool fits(const float* operand) { return operand[0] != 0; }

  // Logits are unit() * score, in units of log 2.
  float unit() const { return unit_; }
  // The thread that multiplies holds a MatrixSession meanwhile.

  // scores[rows][kScoreStride]: rows row ... row + rows - 1 of a block's `block_rows` with each of
  // the keys. row: a multiple of kMatrixRows; rows <= kMatrixRows, rounded up to whole row tiles in
  // memory.
  void score(const float* queries,
             int block_rows,
             int row,
             int rows,
             std::span<const float* const> keys,
             float* scores) const;
  // out[rows][value_dim()] = scale * out + weights . values, rows rounded up likewise.
  void add(const float* weights,
           int rows,
           std::span<const float* const> values,
           const float* scale,
           float* out) const;

 private:
  const AttentionInputs& inputs_;
  MatrixUnit matrix_unit_;
  float unit_;
};

}  // namespace maskerade::detail
