#include "attention/cpu/detail/vector_steps.hpp"

#include <algorithm>

#include "attention/cpu/detail/weigh_samples.hpp"

namespace maskerade::detail {
namespace {

// Calls body(first, count) for all of `rows` rows: at once when there is nothing to fetch ahead,
// else for kPieceRows rows at a time with a piece fetched before each.
template <class Body>
void in_pieces(int rows, FetchAhead& ahead, const Body& body) {
  if (ahead.is_empty()) return body(0, rows);
  for (int r = 0; r < rows; r += VectorSteps::kPieceRows) {
    ahead.fetch_piece();
    body(r, std::min(VectorSteps::kPieceRows, rows - r));
  }
}

}  // namespace

VectorSteps::StepSize VectorSteps::step_size(std::int64_t head_dim) {
  return head_dim <= 64 ? StepSize{static_cast<int>(kMaxRows), 2} : StepSize{24, kStepBlocks};
}

VectorSteps::VectorSteps(const AttentionInputs& inputs,
                         const CpuPlan& plan,
                         const RowPlaces& places,
                         std::int64_t value_dim)
    : inputs_(inputs),
      plan_(plan),
      places_(places),
      value_dim_(value_dim),
      step_(step_size(inputs.shape.head_dim)) {}

void VectorSteps::run(const RowBlock& rows,
                      const float* queries,
                      std::span<const StepBlock> blocks,
                      float* scores,
                      SoftmaxState& state,
                      float* out,
                      FetchAhead& ahead) const {
  const auto count = static_cast<int>(rows.rows());
  for (int r = 0; r < count; r += step_.rows) {
    const int row_count = std::min(step_.rows, count - r);
    const TouchedBlocks touched(blocks, r, row_count);
    if (touched.count == 0) continue;
    step({rows, queries, scores, state, out, ahead}, touched, r, row_count);
  }
}

void VectorSteps::step(const Buffers& buffers,
                       const TouchedBlocks& touched,
                       int row,
                       int rows) const {
  const float* queries = buffers.queries;
  float* scores = buffers.scores;
  SoftmaxState& state = buffers.state;
  float* out = buffers.out;
  FetchAhead& ahead = buffers.ahead;
  const std::int64_t dim = inputs_.shape.head_dim;
  ValueRows values[kStepBlocks];
  for (int b = 0; b < touched.count; ++b) {
    const StepBlock& block = *touched.blocks[b];
    float* tile = scores + b * kPackedKeys;
    in_pieces(rows, ahead, [&](int r, int piece) {
      score_tile(queries + (row + r) * dim, dim, piece, block.keys, dim, tile + r * kScoreStride,
                 kScoreStride);
    });
    weigh_samples(plan_, *block.block, row, rows, 1.0F, tile);
    values[b] = block.values == nullptr ? places_.values_in_place(buffers.row_block, *block.block)
                                        : ValueRows{block.values, value_dim_, nullptr};
  }
  softmax_step({.scores = scores,
                .first_row = row,
                .rows = rows,
                .blocks = touched.count,
                .words = touched.words,
                .tails = touched.tails},
               state);
  // Rationale: blocks whose values follow each other in memory are summed as one, which reads and
  // writes the sums once.
  for (int b = 0; b < touched.count;) {
    int last = b;
    while (last + 1 < touched.count && touched.columns[last] == kPackedKeys &&
           values[last].precedes(values[last + 1], kPackedKeys)) {
      ++last;
    }
    in_pieces(rows, ahead, [&](int r, int piece) {
      accumulate_values(
          {.weights = scores + r * kScoreStride + b * kPackedKeys,
           .rows = piece,
           .count = (last - b) * static_cast<int>(kPackedKeys) + touched.columns[last],
           .values = values[b],
           .dim = value_dim_,
           .scale = state.scale + row + r,
           .out = out + (row + r) * value_dim_});
    });
    // The first sum of the step scales out; later ones must not scale it again.
    if (b == 0) std::fill_n(state.scale + row, rows, 1.0F);
    b = last + 1;
  }
}

}  // namespace maskerade::detail
