#pragma once

#include "attention/cuda/detail/attend_arguments.hpp"
#include "attention/cuda/detail/row_pair.hpp"
#include "attention/cuda/detail/tile_plan.hpp"

namespace maskerade::cuda {

// The 16 rows of a row block that a warp of a tile kernel computes, two of them in this thread (see
// RowPair): which rows of the problem they are, and which keys of a tile are active for them.
template <typename Lane>
class TileRows {
 public:
  static constexpr int kBiasStride = kTileKeys + 8;  // floats from one row of biases to the next
  static constexpr int kBiasBytes = 16 * kBiasStride * 4;

  // first_row: the warp's first row within the row block. biases: kBiasBytes of shared memory that
  // belong to this warp; not read unless the mask has sampled keys.
  MASKERADE_DEVICE void start(Lane& lane,
                              const AttendArguments& arguments,
                              const TilePlan& plan,
                              std::int64_t row_block,
                              int first_row,
                              std::byte* biases) {
    plan_ = &plan;
    biases_ = reinterpret_cast<float*>(biases);
    block_ = plan.layout.row_block_at(row_block);
    for (int half = 0; half < 2; ++half) {
      rows_[half] = first_row + lane.in_warp() / 4 + 8 * half;
      const bool is_there = plan.layout.has_row(block_, rows_[half]);
      ends_[half] = is_there
                        ? plan.mask.ends[block_.first_query + rows_[half] % plan.layout.queries]
                        : arguments.key_len;
      piece_rows_[half] = static_cast<int>(plan.layout.piece_row(rows_[half]));
      if (!is_there) rows_[half] = -1;
    }
    const int row = first_row + lane.in_warp();
    if (plan.mask.has_sampled() && lane.in_warp() < 16 && plan.layout.has_row(block_, row)) {
      sampled_row_ =
          plan.layout.mask_row(plan.layout.piece_of(row_block), plan.layout.piece_row(row));
    }
    // The rows that a row block lacks are its last ones.
    is_idle_ = !plan.layout.has_row(block_, first_row);
  }

  MASKERADE_DEVICE const TileLayout::RowBlock& block() const { return block_; }
  MASKERADE_DEVICE bool is_idle() const { return is_idle_; }  // the warp has no rows
  // Whether the row block has this thread's row `half`, and which of its rows that is.
  MASKERADE_DEVICE bool has_row(int half) const { return rows_[half] >= 0; }
  MASKERADE_DEVICE int row(int half) const { return rows_[half]; }
  // The row's index in [batch, query_heads, query_len].
  MASKERADE_DEVICE std::int64_t problem_row(int half) const {
    return plan_->layout.row_of(block_, rows_[half]);
  }

  // Turns the scores of a tile's keys into logits, as RowPair::step() takes them. All threads of
  // the warp call it. scale: AttendArguments::scale_log2.
  MASKERADE_DEVICE void weigh(Lane& lane,
                              TileEntry entry,
                              float scale,
                              float (&scores)[kTileKeys / 8][4]) {
    const std::int64_t first_key = std::int64_t{entry.tile} * kTileKeys;
    if (entry.bits == kAllVisible &&
        lane.all_in_warp(smaller(ends_[0], ends_[1]) >= first_key + kTileKeys)) {
      weigh_each(lane, scores, [&](int, int, float score) { return score * scale; });
      return;
    }
    const int first_column = 2 * (lane.in_warp() & 3);
    std::uint64_t words[2];  // active columns of each row, from this thread's first column on
    for (int half = 0; half < 2; ++half) {
      words[half] = entry.bits == kAllVisible ? low_bits(ends_[half] - first_key) : 0;
      if (entry.bits >= 0 && rows_[half] >= 0) {
        words[half] =
            plan_->arrays.bits[entry.bits * plan_->layout.piece_rows() + piece_rows_[half]];
      }
      words[half] >>= first_column;
    }
    if (plan_->mask.has_sampled() && entry.bits >= 0) {
      fill_biases(lane, first_key);
      weigh_each(lane, scores, [&](int half, int column, float score) {
        return score * scale + biases_[(lane.in_warp() / 4 + 8 * half) * kBiasStride + column];
      });
      // All lanes have read the biases before those of the next tile overwrite them.
      lane.sync_warp();
    } else {
      weigh_each(lane, scores, [&](int, int, float score) { return score * scale; });
    }
    weigh_each(lane, scores, [&](int half, int column, float logit) {
      return ((words[half] >> (column - first_column)) & 1U) != 0 ? logit : kNoKeys;
    });
  }

 private:
  // Fills biases_[16][kBiasStride] for a tile: -log2 p of the sampled entries of the warp's rows, 0
  // elsewhere.
  MASKERADE_DEVICE void fill_biases(Lane& lane, std::int64_t first_key) {
    for (int i = lane.in_warp(); i < 16 * kBiasStride; i += 32) biases_[i] = 0;
    lane.sync_warp();
    if (sampled_row_.slice >= 0) {
      const MaskView& mask = plan_->mask;
      const std::int64_t end = mask.sampled_end(sampled_row_.slice, sampled_row_.query);
      for (std::int64_t s = mask.first_sampled(sampled_row_.slice, sampled_row_.query, first_key);
           s < end && mask.sampled_keys[s] < first_key + kTileKeys; ++s) {
        biases_[lane.in_warp() * kBiasStride + mask.sampled_keys[s] - first_key] =
            -log2f(mask.sampled_probabilities[s]);
      }
    }
    lane.sync_warp();
  }

  const TilePlan* plan_ = nullptr;
  TileLayout::RowBlock block_;
  float* biases_ = nullptr;
  int rows_[2];           // rows of the row block; -1: it has no such row
  int piece_rows_[2];     // see TileLayout::piece_row()
  std::int64_t ends_[2];  // keys from here on are not visible to the row
  bool is_idle_ = false;
  TileLayout::MaskRow sampled_row_ = {-1, 0};  // the row whose biases this thread fills
};

}  // namespace maskerade::cuda
