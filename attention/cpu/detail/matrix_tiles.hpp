#pragma once

#include <cstdint>
#include <functional>
#include <span>

#include "attention/cpu/cpu_plan.hpp"
#include "attention/cpu/detail/matrix_products.hpp"
#include "attention/cpu/detail/shared_tiles.hpp"
#include "framework/pipeline/attention_inputs.hpp"

namespace maskerade::detail {

// One step of the online softmax: rows row ... row + rows - 1 of a row block, row a multiple of
// kMatrixRows, and the key blocks that they touch.
struct MatrixStep {
  int row = 0;
  int rows = 0;                               // at most kMatrixRows
  int blocks = 0;                             // at most kMatrixBlocks
  const float* keys[kMatrixBlocks];           // tiles_of() what make_keys() left
  const float* values[kMatrixBlocks];         // tiles_of() what make_values() left
  const std::uint64_t* words[kMatrixBlocks];  // see softmax_step()
  std::uint64_t tails[kMatrixBlocks];
};

// Adds to the scores of step `index` what sampled keys add to their logits.
using WeighSamples = std::function<void(std::size_t index, float* scores)>;

// What a worker needs: two of each, so that one step's sums and the next one's scores are made
// while weights are.
struct MatrixScratch {
  MatrixScratch();

  Floats scores[2];   // [kMatrixRows][kScoreStride]
  Floats weights[2];  // as softmax_step_in_pieces() leaves them
  float scale[2][kMatrixRows];
};

// Attention over tiles of keys with a matrix unit: see matrix_operands.hpp for how float32 numbers
// are multiplied. Errors are those of float32 arithmetic, whatever the storage.
//
// Operands that hold a number which pieces do not serve (NaN, infinite, tiny or huge, see
// make_queries()) say so; a step with one of them is to be taken with vectors.
class MatrixTiles : public TileForm {
 public:
  // unit: not kNone. inputs stay.
  MatrixTiles(const AttentionInputs& inputs, MatrixUnit unit);

  // Whether a unit serves these inputs.
  static bool serve(const AttentionInputs& inputs, MatrixUnit unit);
  // Whether tiles are faster than vectors for this storage, where many rows read a tile of keys.
  static bool pay(DType dtype, std::int64_t head_dim);
  // The same for a plan.
  static bool pay(const AttentionInputs& inputs, const CpuPlan& plan);

  // Elements of a row of sums of values.
  std::int64_t value_dim() const { return padded_dim(inputs_.shape.head_dim); }
  std::int64_t query_floats() const;

  // A row block's queries.
  void load_queries(std::span<const void* const> rows, float* queries) const;
  void make_keys(std::span<const void* const> rows, float* keys) const override;
  void make_values(std::span<const void* const> rows, float* values) const override;
  // Whether the queries, keys or values are fit for tiles.
  static bool fits(const float* operand) { return operand[0] != 0; }
  // Its tiles.
  static const float* tiles_of(const float* operand) { return operand + kHeadFloats; }

  // Logits are unit() * score, in units of log 2.
  float unit() const { return unit_; }
  // Takes the steps in their order. queries: as load_queries() leaves them; out: [rows of the
  // block][value_dim()], sums of weighted values, rows rounded up to whole row tiles. The thread
  // holds a MatrixSession meanwhile.
  void run(const float* queries,
           std::span<const MatrixStep> steps,
           const WeighSamples& weigh_samples,
           SoftmaxState& state,
           float* out,
           MatrixScratch& scratch) const;

 private:
  // Before an operand's tiles: whether it is fit to be multiplied.
  static constexpr std::int64_t kHeadFloats = 16;

  Product scores_of(const float* queries, const MatrixStep& step, float* to) const;
  Product sums_of(const float* weights, const MatrixStep& step, float* out) const;

  const AttentionInputs& inputs_;
  MatrixUnit matrix_unit_;
  float unit_;
};

}  // namespace maskerade::detail
