#include "attention/cpu/detail/matrix_tiles.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <optional>
#include <type_traits>

#include "attention/cpu/detail/matrix_products.hpp"

namespace maskerade::detail {
namespace {

// From which head_dim, and from how many row blocks that read a tile of keys, the matrix unit is
// faster than vectors. Measured on one core with AMX at 2048 keys, as time over that of vectors.
// float32 takes twelve products of pieces, and the processor's clock is lower while it multiplies
// tiles: at head_dim 64 it takes 1.2 where one row block reads a tile, .95 where three do, .86
// where 16 do (128: 1.06, .95, .76; 48: 1.3 and .97 where 16 do). float16: .95 where one does, .7
// where four do; bfloat16: .64 and .5.
constexpr std::int64_t kNarrowest = 32;
constexpr std::int64_t kNarrowestFloat32 = 64;
double least_uses(DType dtype) { return dtype == DType::kFloat32 ? 4 : 1; }

// How many row blocks of the plan read a tile of keys, on average over the tiles whose operands are
// made: a whole tile's are made once, those of listed keys for each row block.
double uses_of_a_tile(const CpuPlan& plan) {
  std::int64_t whole = 0;
  std::int64_t listed = 0;
  for (const RowBlock& rows : plan.row_blocks) {
    if (rows.blocks_begin == rows.blocks_end) continue;
    // The first key block is taken as typical of the row block.
    const KeyBlock& block = plan.key_blocks[static_cast<std::size_t>(rows.blocks_begin)];
    (block.list_offset < 0 ? whole : listed) += rows.blocks_end - rows.blocks_begin;
  }
  const std::int64_t tiles = plan.shape.batch * plan.shape.kv_heads *
                             ((plan.shape.key_len + kPackedKeys - 1) / kPackedKeys);
  const std::int64_t made = std::min(whole, tiles) + listed;
  return made == 0 ? 0 : static_cast<double>(whole + listed) / static_cast<double>(made);
}

// Calls body(unit) with an AmxUnit or an EmulatedUnit. kind: not kNone.
template <class Body>
void with_unit(MatrixUnit kind, const Body& body) {
  if (kind == MatrixUnit::kAmx) {
    AmxUnit unit;
    body(unit);
  } else {
    EmulatedUnit unit;
    body(unit);
  }
}

// Row tiles that `rows` rows need.
int row_tiles_of(int rows) { return (rows + kMatrixTileRows - 1) / kMatrixTileRows; }

// Multiplies row r of the step in out[rows][dim] by scale[r], so that the sums of the steps before
// refer to the row's new highest logit.
void scale_rows(const MatrixStep& step, const float* scale, std::int64_t dim, float* out) {
  for (int r = 0; r < step.rows; ++r) {
    float* sums = out + (step.row + r) * dim;
    if (scale[r] != 1) widen_scaled(DType::kFloat32, sums, dim, scale[r], sums);
  }
}

// Up to two products, computed one after the other in parts, as work beside a softmax step.
template <class Unit>
class Products : public InterleavedWork {
 public:
  explicit Products(Unit& unit) : unit_(unit) {}

  void add(const Product& product) {
    (first_ ? second_ : first_).emplace(unit_, product);
    parts_left_ += product.parts();
  }
  // From now on each advance() does so many parts that `calls` of them do all that is left.
  void spread_over(int calls) { parts_a_call_ = (parts_left_ + calls - 1) / calls; }
  void advance() override { do_parts(parts_a_call_); }
  void finish() { do_parts(parts_left_); }

 private:
  void do_parts(int parts) {
    for (; parts > 0 && first_; --parts, --parts_left_) {
      first_->advance();
      if (!first_->is_done()) continue;
      first_.reset();
      if (second_) first_.emplace(*second_);
      second_.reset();
    }
  }

  Unit& unit_;
  std::optional<ProductRun<Unit>> first_;
  std::optional<ProductRun<Unit>> second_;
  int parts_left_ = 0;
  int parts_a_call_ = 0;
};

}  // namespace

MatrixScratch::MatrixScratch() {
  for (int i = 0; i < 2; ++i) {
    scores[i] = aligned_floats(kMatrixRows * kScoreStride);
    weights[i] = aligned_floats(kWeightFloats);
    std::fill_n(weights[i].get(), kWeightFloats, 0.0F);
  }
}

MatrixTiles::MatrixTiles(const AttentionInputs& inputs, MatrixUnit unit)
    : TileForm(
          kHeadFloats + pieces_of(inputs.k.dtype) * padded_dim(inputs.shape.head_dim) / 2 * 64,
          kHeadFloats + pieces_of(inputs.v.dtype) * padded_dim(inputs.shape.head_dim) / 2 * 64),
      inputs_(inputs),
      matrix_unit_(unit),
      unit_(static_cast<float>(inputs.scale * std::numbers::log2e)) {}

bool MatrixTiles::serve(const AttentionInputs& inputs, MatrixUnit unit) {
  constexpr float kMostScale = 0x1p20F;
  const std::int64_t dim = inputs.shape.head_dim;
  const float scale = static_cast<float>(inputs.scale);
  return unit != MatrixUnit::kNone && dim <= kMostMatrixDim && inputs.q.dtype == inputs.k.dtype &&
         scale > 1 / kMostScale && scale < kMostScale;
}

bool MatrixTiles::pay(DType dtype, std::int64_t head_dim) {
  return head_dim >= (dtype == DType::kFloat32 ? kNarrowestFloat32 : kNarrowest);
}

bool MatrixTiles::pay(const AttentionInputs& inputs, const CpuPlan& plan) {
  return pay(inputs.k.dtype, inputs.shape.head_dim) &&
         uses_of_a_tile(plan) >= least_uses(inputs.k.dtype);
}

std::int64_t MatrixTiles::query_floats() const {
  return kHeadFloats +
         pieces_of(inputs_.q.dtype) * kMaxRows * padded_dim(inputs_.shape.head_dim) / 2;
}

void MatrixTiles::load_queries(std::span<const void* const> rows, float* queries) const {
  queries[0] = make_queries(inputs_.q.dtype, rows, inputs_.shape.head_dim, queries + kHeadFloats);
}

void MatrixTiles::make_keys(std::span<const void* const> rows, float* keys) const {
  keys[0] = detail::make_keys(inputs_.k.dtype, rows, inputs_.shape.head_dim, keys + kHeadFloats);
}

void MatrixTiles::make_values(std::span<const void* const> rows, float* values) const {
  values[0] =
      detail::make_values(inputs_.v.dtype, rows, inputs_.shape.head_dim, values + kHeadFloats);
}

Product MatrixTiles::scores_of(const float* queries, const MatrixStep& step, float* to) const {
  const std::int64_t depths = value_dim() / kMatrixTileDepth;
  const int pieces = pieces_of(inputs_.q.dtype);
  return {.left = {.first = queries + kHeadFloats +
                            step.row / kMatrixTileRows * depths * pieces * kMatrixTileFloats,
                   .row_tile_floats = depths * pieces * kMatrixTileFloats,
                   .pieces = pieces},
          .row_tiles = row_tiles_of(step.rows),
          .blocks = step.keys,
          .columns = step.blocks * 4,
          .depths = static_cast<int>(depths),
          .blocks_are_columns = true,
          .right_pieces = pieces,
          .sums = to,
          .stride = kScoreStride};
}

Product MatrixTiles::sums_of(const float* weights, const MatrixStep& step, float* out) const {
  const std::int64_t columns = value_dim() / kMatrixTileColumns;
  return {
      .left = {.first = weights, .row_tile_floats = kWeightRowTileFloats, .pieces = kWeightPieces},
      .row_tiles = row_tiles_of(step.rows),
      .blocks = step.values,
      .columns = static_cast<int>(columns),
      .depths = step.blocks * 2,
      .right_pieces = pieces_of(inputs_.v.dtype),
      .sums = out + step.row * value_dim(),
      .stride = value_dim(),
      .adds = true};
}

// Rationale: while the vector units make the weights of a step, the matrix unit computes the scores
// of the next step and the sums of the one before, so that both units work at the same time.
void MatrixTiles::run(const float* queries,
                      std::span<const MatrixStep> steps,
                      const WeighSamples& weigh_samples,
                      SoftmaxState& state,
                      float* out,
                      MatrixScratch& scratch) const {
  with_unit(matrix_unit_, [&](auto& unit) {
    Products<std::decay_t<decltype(unit)>> products(unit);
    const auto start_scores = [&](std::size_t s) {
      products.add(scores_of(queries, steps[s], scratch.scores[s % 2].get()));
    };
    const auto start_sums = [&](std::size_t s) {
      scale_rows(steps[s], scratch.scale[s % 2], value_dim(), out);
      products.add(sums_of(scratch.weights[s % 2].get(), steps[s], out));
    };
    if (steps.empty()) return;
    start_scores(0);
    products.finish();
    for (std::size_t s = 0; s < steps.size(); ++s) {
      const MatrixStep& step = steps[s];
      if (s + 1 < steps.size()) start_scores(s + 1);
      if (s > 0) start_sums(s - 1);
      products.spread_over(step.rows);
      weigh_samples(s, scratch.scores[s % 2].get());
      softmax_step_in_pieces({.scores = scratch.scores[s % 2].get(),
                              .unit = unit_,
                              .first_row = step.row,
                              .rows = step.rows,
                              .blocks = step.blocks,
                              .words = step.words,
                              .tails = step.tails},
                             state, scratch.weights[s % 2].get(), products);
      std::copy_n(state.scale + step.row, step.rows, scratch.scale[s % 2]);
      products.finish();
    }
    start_sums(steps.size() - 1);
    products.finish();
  });
}

}  // namespace maskerade::detail
