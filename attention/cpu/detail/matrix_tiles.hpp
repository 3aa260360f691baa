#pragma once

#include <cstdint>
#include <functional>
#include <span>

#include "attention/cpu/cpu_plan.hpp"
#include "attention/cpu/detail/matrix_products.hpp"
#include "attention/cpu/detail/shared_tiles.hpp"
#include "framework/pipeline/attention_inputs.hpp"

namespace maskerade::detail {

// One step of the online softmax on a matrix unit: some rows of a row block and the key blocks that
// they attend to. A view: the memory belongs to the caller.
struct MatrixStep {
  int row = 0;     // the first one, within the row block; a multiple of kMatrixRows
  int rows = 0;    // at most kMatrixRows
  int blocks = 0;  // at most kMatrixBlocks
  const float* keys[kMatrixBlocks];    // MatrixTiles::tiles_of() an operand that make_keys() filled
  const float* values[kMatrixBlocks];  // MatrixTiles::tiles_of() one that make_values() filled
  const std::uint64_t* words[kMatrixBlocks];  // see SoftmaxStep
  std::uint64_t tails[kMatrixBlocks];         // see SoftmaxStep
};

// Called with the scores[rows][kScoreStride] of step `index` before they become weights, to change
// those of sampled keys (see weigh_samples()).
using WeighSamples = std::function<void(std::size_t index, float* scores)>;

// Memory that MatrixTiles::run() works in; each worker has its own. There are two of each array,
// because neighbouring steps are under way at the same time.
struct MatrixScratch {
  MatrixScratch();

  Floats scores[2];             // [kMatrixRows][kScoreStride]
  Floats weights[2];            // [kWeightFloats] left tiles of softmax_step_in_pieces()
  float scale[2][kMatrixRows];  // SoftmaxState::scale of the step's rows
};

// Attention over tiles of keys on a matrix unit. Whatever the storage, the rounding is that of
// float32 arithmetic: see matrix_operands.hpp for how numbers are multiplied.
//
// Pieces do not serve numbers that are NaN, infinite, tiny or huge (see make_queries()). fits() of
// an operand with such a number is false, and steps that need the operand must be computed with
// vectors.
class MatrixTiles : public TileForm {
 public:
  // unit: not kNone. Keeps a reference to the inputs.
  MatrixTiles(const AttentionInputs& inputs, MatrixUnit unit);

  // Whether the unit can compute attention over these inputs: q and k have one dtype, head_dim is
  // at most kMostMatrixDim, and the scale neither large nor small. False for kNone.
  static bool serve(const AttentionInputs& inputs, MatrixUnit unit);
  // Whether the unit is faster than vectors for keys of this dtype where many rows read each tile.
  static bool pay(DType dtype, std::int64_t head_dim);
  // The same for the rows of a plan.
  static bool pay(const AttentionInputs& inputs, const CpuPlan& plan);

  // The floats of one row of the output's sums, weight times value: head_dim, rounded up to whole
  // tiles of the matrix unit.
  std::int64_t value_dim() const { return padded_dim(inputs_.shape.head_dim); }
  // Floats of the operand of a row block's queries.
  std::int64_t query_floats() const;

  // Fills queries[query_floats()] from a row block's rows of q.
  void load_queries(std::span<const void* const> rows, float* queries) const;
  void make_keys(std::span<const void* const> rows, float* keys) const override;
  void make_values(std::span<const void* const> rows, float* values) const override;
  // Whether an operand, of queries, keys or values, may be multiplied by the unit.
  static bool fits(const float* operand) { return operand[0] != 0; }
  // The tiles of an operand.
  static const float* tiles_of(const float* operand) { return operand + kHeadFloats; }

  // What a score is multiplied by to become a logit in units of log 2: scale * log2(e).
  float unit() const { return unit_; }
  // Computes the steps of one row block in their order. queries: as load_queries() fills it. state
  // and out[rows of the block][value_dim()], the sums of weighted values, go on from what they
  // hold; rows of out are written up to a multiple of kMatrixTileRows. The thread must hold a
  // MatrixSession.
  void run(const float* queries,
           std::span<const MatrixStep> steps,
           const WeighSamples& weigh_samples,
           SoftmaxState& state,
           float* out,
           MatrixScratch& scratch) const;

 private:
  // An operand is a head of 64 bytes, whose first float says whether it fits, and then its tiles.
  static constexpr std::int64_t kHeadFloats = 16;

  // The product that gives a step's scores, to[rows][kScoreStride].
  Product scores_of(const float* queries, const MatrixStep& step, float* to) const;
  // The product that adds a step's weighted values to its rows of out.
  Product sums_of(const float* weights, const MatrixStep& step, float* out) const;

  const AttentionInputs& inputs_;
  MatrixUnit matrix_unit_;
  float unit_;
};

}  // namespace maskerade::detail
