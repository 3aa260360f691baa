#pragma once

#include <cstdint>
#include <span>

#include "attention/cpu/detail/fetch_ahead.hpp"
#include "attention/cpu/detail/row_places.hpp"
#include "attention/cpu/detail/softmax_kernel.hpp"
#include "attention/cpu/detail/step_blocks.hpp"

namespace maskerade::detail {

// Steps of the online softmax in which vector instructions multiply, on key blocks in the form of
// FloatTiles.
class VectorSteps {
 public:
  // Rows that are multiplied between two calls of FetchAhead::fetch_piece(): as many as the kernels
  // hold in registers at a time.
  static constexpr int kPieceRows = 6;

  // value_dim: floats of a row of sums of values. Keeps references to the inputs, plan and places.
  VectorSteps(const AttentionInputs& inputs,
              const CpuPlan& plan,
              const RowPlaces& places,
              std::int64_t value_dim);

  // The most key blocks of one run(); at most kStepBlocks.
  std::int64_t step_blocks() const noexcept { return step_.blocks; }

  // Continues the online softmax of a row block over the key blocks `blocks`, at most step_blocks()
  // of them. In and out: state, the running top and sum of each row, and out[rows][value_dim], the
  // sums of weight times value. In: queries, as RowPlaces::load_queries() fills them. Scratch:
  // scores[kMaxRows][kScoreStride]. Between products it prefetches pieces of `ahead`, the memory of
  // the step after this one, to hide the time that memory takes.
  void run(const RowBlock& rows,
           const float* queries,
           std::span<const StepBlock> blocks,
           float* scores,
           SoftmaxState& state,
           float* out,
           FetchAhead& ahead) const;

 private:
  // The most rows and key blocks of a step. Rationale: all rows with so few key blocks that their
  // values stay in the first-level cache for all of them; where the values of two blocks do not fit
  // it, few rows with more key blocks, so that at least the scores stay there.
  struct StepSize {
    int rows = 0;
    std::int64_t blocks = 0;
  };
  static StepSize step_size(std::int64_t head_dim);

  // The arguments of run() that every step uses.
  struct Buffers {
    const RowBlock& row_block;
    const float* queries;  // [rows of the row block][head_dim]
    float* scores;         // [kMaxRows][kScoreStride]
    SoftmaxState& state;
    float* out;  // [rows of the row block][value_dim]
    FetchAhead& ahead;
  };
  // One step of rows row ... row + rows - 1 of the row block.
  void step(const Buffers& buffers, const TouchedBlocks& touched, int row, int rows) const;

  const AttentionInputs& inputs_;
  const CpuPlan& plan_;
  const RowPlaces& places_;
  std::int64_t value_dim_;
  StepSize step_;
};

}  // namespace maskerade::detail
