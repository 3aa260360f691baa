#include <algorithm>
#include <bit>
#include <vector>

#include "attention/plan.hpp"

namespace maskerade {
namespace {

// Shares of a touched tile's entries that are active, below which gathering single keys is faster
// than whole tiles: at decode, where memory is the limit, and at prefill, where arithmetic is.
constexpr double kRowsBelowDecode = 0.5;
constexpr double kRowsBelowPrefill = 0.06;
// Share of visible tiles from which on nothing is gained by leaving the others out.
constexpr double kDenseFrom = 0.95;

struct TileCensus {
  std::int64_t touched_tiles = 0;
  std::int64_t visible_tiles = 0;
  std::int64_t touched_entries = 0;  // rows x keys of the touched tiles
  std::int64_t active_entries = 0;
};

void add_tile_row(
    const Mask& mask, std::int64_t b, std::int64_t h, std::int64_t t, TileCensus& census) {
  const TileRowView view = mask.tile_row(b, h, t);
  std::vector<std::uint64_t> touched(view.any.begin(), view.any.end());
  std::int64_t visible_end = 0;
  for (std::int64_t q = 0; q < view.rows; ++q) {
    visible_end = std::max(visible_end, mask.visibility().end(view.first_query + q));
    if (!mask.has_sampled()) continue;
    const SampledEntries sampled = mask.sampled(b, h, view.first_query + q);
    census.active_entries += static_cast<std::int64_t>(sampled.keys.size());
    for (const std::int32_t key : sampled.keys) {
      const auto tile = static_cast<std::size_t>(key / kTileKeys);
      touched[tile / 64] |= std::uint64_t{1} << (tile % 64);
    }
  }
  std::int64_t tiles = 0;
  for (const std::uint64_t word : touched) tiles += std::popcount(word);
  census.touched_tiles += tiles;
  census.touched_entries += tiles * view.rows * kTileKeys;
  census.visible_tiles += (visible_end + kTileKeys - 1) / kTileKeys;
  view.for_each_tile([&](std::int64_t, const std::uint64_t* words) {
    if (words == nullptr) {
      census.active_entries += view.rows * kTileKeys;
      return;
    }
    for (int q = 0; q < view.rows; ++q) census.active_entries += std::popcount(words[q]);
  });
}

}  // namespace

Kernel choose_kernel(const Mask& mask, const AttentionShape& shape) {
  TileCensus census;
  for (std::int64_t b = 0; b < mask.extent().batch; ++b) {
    for (std::int64_t h = 0; h < mask.extent().heads; ++h) {
      for (std::int64_t t = 0; t < mask.tile_row_count(); ++t) add_tile_row(mask, b, h, t, census);
    }
  }
  const double filled = static_cast<double>(census.active_entries) /
                        static_cast<double>(std::max<std::int64_t>(1, census.touched_entries));
  if (filled < (shape.query_len == 1 ? kRowsBelowDecode : kRowsBelowPrefill)) return Kernel::kRows;
  const double touched = static_cast<double>(census.touched_tiles) /
                         static_cast<double>(std::max<std::int64_t>(1, census.visible_tiles));
  return touched >= kDenseFrom ? Kernel::kDense : Kernel::kTiles;
}

}  // namespace maskerade
