#include "attention/cuda/detail/device_plan.hpp"

#include <algorithm>
#include <vector>

#include "attention/cuda/detail/kernels.hpp"
#include "attention/cuda/detail/row_block_pairs.hpp"

namespace maskerade::cuda {
namespace {

// RowPlan::span_tiles for a plan of `pieces` pieces over `tiles` tiles: 1, so that many threads
// share the work, unless the offsets would then take too much memory; else the 64 tiles of a bitmap
// word.
std::int64_t span_tiles_of(std::int64_t pieces, std::int64_t tiles) {
  constexpr std::int64_t kMostIndices = std::int64_t{1} << 22;
  return pieces * tiles <= kMostIndices ? 1 : 64;
}

std::int64_t listed_count(const std::vector<TileEntry>& listed) {
  return static_cast<std::int64_t>(listed.size());
}

}  // namespace

DeviceTilePlan::DeviceTilePlan(const AttentionShape& shape,
                               const MaskView& mask,
                               const MaskBounds& bounds,
                               bool is_dense,
                               cudaStream_t stream) {
  plan.layout = TileLayout::of(shape.batch, shape.query_heads, shape.kv_heads, mask);
  plan.mask = mask;
  plan.is_dense = is_dense;
  const std::int64_t every_tile = plan.layout.pieces() * mask.tiles();
  const std::int64_t active = std::min(bounds.active_tiles + bounds.sampled, every_tile);
  // Rationale: where the heads of a piece have mask heads of their own, a tile that is full for
  // some and empty for others is partial for the piece; so every active tile may be partial.
  const std::int64_t partial = plan.layout.has_mask_per_head
                                   ? active
                                   : std::min(bounds.partial_tiles + bounds.sampled, every_tile);
  const std::int64_t items = plan.layout.pieces() * mask.words();
  entry_offsets = {items + 1, stream};
  bits_offsets = {items + 1, stream};
  entries = {is_dense ? every_tile : active, stream};
  sources = {partial, stream};
  bits = {partial * plan.layout.piece_rows(), stream};
  overflow = {1, stream};
  overflow.fill_bytes(0);
  plan.arrays = {.entry_offsets = entry_offsets.data(),
                 .bits_offsets = bits_offsets.data(),
                 .entries = entries.data(),
                 .sources = sources.data(),
                 .bits = bits.data(),
                 .entry_capacity = entries.size(),
                 .bits_capacity = partial,
                 .overflow = overflow.data()};
  plan_tiles(plan, stream);
}

std::int64_t DeviceTilePlan::keys_touched() const {
  const std::vector<std::int64_t> offsets = entry_offsets.download();
  const std::vector<TileEntry> listed = entries.download();
  const std::int64_t words = plan.mask.words();
  const std::int64_t missing =
      plan.mask.tiles() * kTileKeys - plan.mask.key_len;  // columns beyond key_len
  const auto range_of = [&](std::int64_t block) {
    const std::int64_t piece = plan.layout.piece_of(block);
    return Range{offsets[static_cast<std::size_t>(piece * words)],
                 offsets[static_cast<std::size_t>((piece + 1) * words)]};
  };
  // The plan has overflowed; CudaPlan::fetch_out() throws the error.
  if (offsets.back() > listed_count(listed)) return 0;
  std::int64_t keys = 0;
  const auto add = [&](std::int32_t tile) {
    keys += kTileKeys - (tile == plan.mask.tiles() - 1 ? missing : 0);
  };
  if (pair_splits > 0) {
    const RowBlockPairs pairs{plan.layout};
    for (std::int64_t i = 0; i < pairs.count() * pair_splits; ++i) {
      PairedTiles tiles(listed.data());
      for (int side = 0; side < 2; ++side) {
        const std::int64_t block = pairs.row_block(i / pair_splits, side);
        if (block >= 0) tiles.ranges[side] = range_of(block).split(i % pair_splits, pair_splits);
      }
      std::int32_t row_bits[2];
      for (std::int32_t tile = tiles.next(row_bits); tile >= 0; tile = tiles.next(row_bits))
        add(tile);
    }
    return keys;
  }
  for (std::int64_t block = 0; block < plan.layout.row_blocks(); ++block) {
    const Range range = range_of(block);
    for (std::int64_t i = range.begin; i < range.end; ++i) {
      add(listed[static_cast<std::size_t>(i)].tile);
    }
  }
  return keys;
}

std::int64_t DeviceTilePlan::size_bytes() const noexcept {
  return static_cast<std::int64_t>(entry_offsets.bytes() + bits_offsets.bytes() + entries.bytes() +
                                   sources.bytes() + bits.bytes());
}

DeviceRowPlan::DeviceRowPlan(const AttentionShape& shape,
                             const MaskView& mask,
                             const MaskBounds& bounds,
                             cudaStream_t stream) {
  plan.layout = RowLayout::of(shape.batch, shape.query_heads, shape.kv_heads, mask);
  plan.mask = mask;
  plan.span_tiles = span_tiles_of(plan.layout.pieces(), mask.tiles());
  const std::int64_t capacity =
      std::min(bounds.active_bits + bounds.sampled, plan.layout.pieces() * mask.key_len);
  offsets = {plan.layout.pieces() * plan.spans() + 1, stream};
  keys = {capacity, stream};
  if (plan.layout.has_mask_per_head) rows = {capacity, stream};
  if (mask.has_sampled()) biases = {capacity * plan.biases_of_key(), stream};
  overflow = {1, stream};
  overflow.fill_bytes(0);
  plan.arrays = {.offsets = offsets.data(),
                 .keys = keys.data(),
                 .rows = rows.data(),
                 .biases = biases.data(),
                 .capacity = capacity,
                 .overflow = overflow.data()};
  plan_rows(plan, stream);
}

std::int64_t DeviceRowPlan::keys_touched() const {
  const std::vector<std::int64_t> at = offsets.download();
  std::int64_t touched = 0;
  for (std::int64_t block = 0; block < plan.layout.row_blocks(); ++block) {
    const std::int64_t piece = plan.layout.piece_of(block);
    touched += at[static_cast<std::size_t>((piece + 1) * plan.spans())] -
               at[static_cast<std::size_t>(piece * plan.spans())];
  }
  return touched;
}

std::int64_t DeviceRowPlan::size_bytes() const noexcept {
  return static_cast<std::int64_t>(offsets.bytes() + keys.bytes() + rows.bytes() + biases.bytes());
}

}  // namespace maskerade::cuda
