#pragma once

#include "attention/cuda/detail/attend_arguments.hpp"
#include "attention/cuda/detail/row_pair.hpp"
#include "attention/cuda/detail/tile_plan.hpp"

namespace maskerade::cuda {

// The 16 rows of a row block that a warp of a tile kernel has, two of them this thread's (see
// RowPair): where they stand, and what they attend to in a tile.
template <typename Lane>
class TileRows {
 public:
  static constexpr int kBiasStride = kTileKeys + 8;
  static constexpr int kBiasBytes = 16 * kBiasStride * 4;

  // first_row: of the row block. biases: kBiasBytes of shared memory of this warp's own, where the
  // mask has sampled keys.
  MASKERADE_DEVICE void start(Lane& lane,
                              const AttendArguments& arguments,
                              const TilePlan& plan,
                              std::int64_t row_block,
                              int first_row,
                              std::byte* biases) {
    plan_ = &plan;
    biases_ = reinterpret_cast<float*>(biases);
    place_ = plan.layout.place_of(row_block);
    for (int half = 0; half < 2; ++half) {
      rows_[half] = first_row + lane.in_warp() / 4 + 8 * half;
      const bool is_there = plan.layout.has_row(place_, rows_[half]);
      ends_[half] = is_there
                        ? plan.mask.ends[place_.first_query + rows_[half] % plan.layout.queries]
                        : arguments.key_len;
      piece_rows_[half] = static_cast<int>(plan.layout.piece_row(rows_[half]));
      if (!is_there) rows_[half] = -1;
    }
    const int row = first_row + lane.in_warp();
    if (plan.mask.has_sampled() && lane.in_warp() < 16 && plan.layout.has_row(place_, row)) {
      sampled_row_ =
          plan.layout.mask_row(plan.layout.piece_of(row_block), plan.layout.piece_row(row));
    }
    // Rows that are not there are the last ones.
    is_idle_ = !plan.layout.has_row(place_, first_row);
  }

  MASKERADE_DEVICE const TileLayout::Place& place() const { return place_; }
  MASKERADE_DEVICE bool is_idle() const { return is_idle_; }  // the warp has no rows
  MASKERADE_DEVICE bool has_row(int half) const { return rows_[half] >= 0; }
  MASKERADE_DEVICE int row(int half) const { return rows_[half]; }  // of the row block
  // The row in [batch, query_heads, query_len].
  MASKERADE_DEVICE std::int64_t problem_row(int half) const {
    return plan_->layout.row_of(place_, rows_[half]);
  }

  // Makes logits of the scores of a tile's keys, see RowPair::step. All threads of the warp.
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
    // From this thread's first column on.
    const int first_column = 2 * (lane.in_warp() & 3);
    std::uint64_t words[2];
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
      // Before the next tile's biases.
      lane.sync_warp();
    } else {
      weigh_each(lane, scores, [&](int, int, float score) { return score * scale; });
    }
    weigh_each(lane, scores, [&](int half, int column, float logit) {
      return ((words[half] >> (column - first_column)) & 1U) != 0 ? logit : kNoKeys;
    });
  }

 private:
  // -log2 p of the sampled entries of the warp's rows in a tile, 0 elsewhere.
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
  TileLayout::Place place_;
  float* biases_ = nullptr;
  int rows_[2];           // of the row block; -1: not there
  int piece_rows_[2];     // see TileLayout::piece_row
  std::int64_t ends_[2];  // of their visible keys
  bool is_idle_ = false;
  TileLayout::MaskRow sampled_row_ = {-1, 0};  // whose biases this thread fills; -1: none
};

}  // namespace maskerade::cuda
