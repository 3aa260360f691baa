#pragma once

#include <cstdint>
#include <span>

#include "attention/cpu/detail/fetch_ahead.hpp"
#include "attention/cpu/detail/row_places.hpp"
#include "attention/cpu/detail/softmax_kernel.hpp"
#include "attention/cpu/detail/step_blocks.hpp"

namespace maskerade::detail {

// Steps of the online softmax that vectors multiply for, on blocks in the form of FloatTiles.
class VectorSteps {
 public:
  // Rows that are multiplied between two fetches of memory that is read later: as many as the
  // arithmetic takes at a time.
  static constexpr int kPieceRows = 6;

  // value_dim: elements of a row of sums. inputs, plan and places stay.
  VectorSteps(const AttentionInputs& inputs,
              const CpuPlan& plan,
              const RowPlaces& places,
              std::int64_t value_dim);

  // Key blocks of a step: no more than kStepBlocks.
  std::int64_t step_blocks() const noexcept { return step_.blocks; }

  // The steps of all rows of a row block over `blocks`, which are at most as many as a step has.
  // queries: as RowPlaces::load_queries gives them. scores: room for kMaxRows * kScoreStride.
  // out[rows][value_dim] and state go on from what they hold.
  void run(const RowBlock& rows,
           const float* queries,
           std::span<const StepBlock> blocks,
           float* scores,
           SoftmaxState& state,
           float* out,
           FetchAhead& ahead) const;

 private:
  // What one step takes: all rows with as many tiles as leave the values in the first-level cache
  // for all of them, or, where two tiles of values do not fit it, a few rows with more tiles, so
  // that the scores do.
  struct StepSize {
    int rows = 0;
    std::int64_t blocks = 0;
  };
  static StepSize step_size(std::int64_t head_dim);

  void step(const RowBlock& row_block,
            const float* queries,
            const TouchedBlocks& touched,
            int row,
            int rows,
            float* scores,
            SoftmaxState& state,
            float* out,
            FetchAhead& ahead) const;

  const AttentionInputs& inputs_;
  const CpuPlan& plan_;
  const RowPlaces& places_;
  std::int64_t value_dim_;
  StepSize step_;
};

}  // namespace maskerade::detail
