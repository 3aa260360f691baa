#pragma once

#include <cstdint>
#include <vector>

#include "attention/cuda/detail/row_plan.hpp"
#include "attention/cuda/detail/tile_plan.hpp"
#include "framework/mask/mask.hpp"
#include "framework/tensor/cuda/host_steps.hpp"
#include "framework/tensor/shape.hpp"

// Masks and plans in the layout that the device uses, but in host memory, made by the code that the
// device runs.
namespace maskerade::cuda {

// A copy of a mask, and a MaskView of it.
struct HostMask {
  explicit HostMask(const Mask& of)
      : mask(of), ends(mask.visibility().ends().begin(), mask.visibility().ends().end()) {
    const MaskArrays arrays = mask.arrays();
    ranks.resize(arrays.any.size(), -1);
    view = {.batch = mask.extent().batch,
            .heads = mask.extent().heads,
            .query_len = mask.query_len(),
            .key_len = mask.key_len(),
            .any = arrays.any.data(),
            .full = arrays.full.data(),
            .ranks = ranks.data(),
            .partial_offsets = arrays.partial_offsets.data(),
            .partial = arrays.partial.data(),
            .sampled_offsets = mask.has_sampled() ? arrays.sampled_offsets.data() : nullptr,
            .sampled_keys = arrays.sampled_keys.data(),
            .sampled_probabilities = arrays.sampled_probabilities.data(),
            .ends = ends.data()};
    HostSteps().for_each(view.slices() * view.tile_rows(),
                         FindRanks{view.words(), view.any, view.full, ranks.data()});
  }
  HostMask(const HostMask&) = delete;

  Mask mask;
  std::vector<std::int32_t> ranks;
  std::vector<std::int32_t> ends;
  MaskView view;
};

inline std::size_t size(std::int64_t count) { return static_cast<std::size_t>(count); }

// A TilePlan and the memory of its arrays. The mask must outlive it. capacity: of entries and of
// partial tiles; overflow becomes 1 when it is too small.
struct HostTilePlan {
  HostTilePlan(const HostMask& mask,
               const AttentionShape& shape,
               bool is_dense,
               std::int64_t capacity)
      : plan{.layout = TileLayout::of(shape.batch, shape.query_heads, shape.kv_heads, mask.view),
             .mask = mask.view,
             .is_dense = is_dense} {
    const std::int64_t items = plan.layout.pieces() * mask.view.words();
    entry_offsets.resize(size(items + 1), -1);
    bits_offsets.resize(size(items + 1), -1);
    entries.resize(size(capacity), {-7, -7});
    sources.resize(size(capacity), -7);
    bits.resize(size(capacity * plan.layout.piece_rows()), 0x5555555555555555);
    plan.arrays = {.entry_offsets = entry_offsets.data(),
                   .bits_offsets = bits_offsets.data(),
                   .entries = entries.data(),
                   .sources = sources.data(),
                   .bits = bits.data(),
                   .entry_capacity = capacity,
                   .bits_capacity = capacity,
                   .overflow = &overflow};
    make_tile_plan(HostSteps(), plan);
  }
  HostTilePlan(const HostTilePlan&) = delete;

  std::vector<std::int64_t> entry_offsets;
  std::vector<std::int64_t> bits_offsets;
  std::vector<TileEntry> entries;
  std::vector<std::int64_t> sources;
  std::vector<std::uint64_t> bits;
  std::int32_t overflow = 0;
  TilePlan plan;
};

// A RowPlan and the memory of its arrays. The mask must outlive it. capacity: of keys; overflow
// becomes 1 when it is too small.
struct HostRowPlan {
  HostRowPlan(const HostMask& mask,
              const AttentionShape& shape,
              std::int64_t span_tiles,
              std::int64_t capacity)
      : plan{.layout = RowLayout::of(shape.batch, shape.query_heads, shape.kv_heads, mask.view),
             .mask = mask.view,
             .span_tiles = span_tiles} {
    offsets.resize(size(plan.layout.pieces() * plan.spans() + 1), -1);
    keys.resize(size(capacity), -7);
    rows.resize(size(capacity), 0x5555);
    biases.resize(size(capacity * plan.biases_of_key()), 99);
    plan.arrays = {.offsets = offsets.data(),
                   .keys = keys.data(),
                   .rows = plan.layout.has_mask_per_head ? rows.data() : nullptr,
                   .biases = mask.view.has_sampled() ? biases.data() : nullptr,
                   .capacity = capacity,
                   .overflow = &overflow};
    make_row_plan(HostSteps(), plan);
  }
  HostRowPlan(const HostRowPlan&) = delete;

  std::vector<std::int64_t> offsets;
  std::vector<std::int32_t> keys;
  std::vector<std::uint16_t> rows;
  std::vector<float> biases;
  std::int32_t overflow = 0;
  RowPlan plan;
};

}  // namespace maskerade::cuda
