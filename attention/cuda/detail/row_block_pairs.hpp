#pragma once

#include <cstdint>

#include "attention/cuda/detail/tile_plan.hpp"

namespace maskerade::cuda {

// Puts the row blocks of each kv head into pairs, so that a kernel reads a tile that both list
// once. Rationale for the order: neighbours should share tiles. Where the heads of a group share
// one list, row blocks are taken by tile row and then by stack of heads; elsewhere by stack and
// then by tile row, since neighbouring queries mostly attend to the same tiles.
struct RowBlockPairs {
  TileLayout layout;

  // Whether the heads of a group share one list of tiles.
  MASKERADE_HOST_DEVICE bool shares_lists() const {
    return !layout.has_mask_per_head && layout.mask_heads <= layout.kv_heads;
  }
  MASKERADE_HOST_DEVICE std::int64_t row_blocks_of_kv_head() const {
    return layout.stacks() * layout.tile_rows();
  }
  MASKERADE_HOST_DEVICE std::int64_t pairs_of_kv_head() const {
    return ceil_div(row_blocks_of_kv_head(), 2);
  }
  // All pairs.
  MASKERADE_HOST_DEVICE std::int64_t count() const {
    return layout.batch * layout.kv_heads * pairs_of_kv_head();
  }
  // The number of the row block at side 0 or 1 of a pair; -1 where there is none, which happens at
  // side 1 of the last pair of a kv head.
  MASKERADE_HOST_DEVICE std::int64_t row_block(std::int64_t pair, int side) const {
    const std::int64_t i = pair % pairs_of_kv_head() * 2 + side;
    if (i >= row_blocks_of_kv_head()) return -1;
    const std::int64_t first = pair / pairs_of_kv_head() * row_blocks_of_kv_head();
    if (!shares_lists()) return first + i;
    return first + i % layout.stacks() * layout.tile_rows() + i / layout.stacks();
  }
};

// Walks through the tiles of the lists of a pair of row blocks, in ascending order; a tile that
// both list comes once.
struct PairedTiles {
  static constexpr std::int32_t kNotListed = -3;  // in place of TileEntry::bits

  const TileEntry* entries;  // of the plan
  Range ranges[2];           // what is left of the list of each side; empty until it is set

  MASKERADE_HOST_DEVICE explicit PairedTiles(const TileEntry* of) : entries(of) {}

  // Returns the next tile, or -1 at the end. Sets bits[side] to the TileEntry::bits of that side,
  // or to kNotListed when that side does not list the tile.
  MASKERADE_HOST_DEVICE std::int32_t next(std::int32_t (&bits)[2]) {
    constexpr std::int32_t kEnd = 0x7FFFFFFF;
    TileEntry heads[2];
    MASKERADE_UNROLL
    for (int side = 0; side < 2; ++side) {
      heads[side] = {kEnd, 0};
      if (ranges[side].begin < ranges[side].end) heads[side] = entries[ranges[side].begin];
    }
    const std::int32_t tile = smaller(heads[0].tile, heads[1].tile);
    if (tile == kEnd) return -1;
    MASKERADE_UNROLL
    for (int side = 0; side < 2; ++side) {
      const bool is_listed = heads[side].tile == tile;
      bits[side] = is_listed ? heads[side].bits : kNotListed;
      if (is_listed) ++ranges[side].begin;
    }
    return tile;
  }
};

}  // namespace maskerade::cuda
