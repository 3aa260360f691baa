#pragma once

#include <cstdint>

#include "attention/cuda/detail/tile_plan.hpp"

namespace maskerade::cuda {

// Row blocks of one kv head, two by two, so that what both list is read once. They are numbered so
// that neighbours share tiles: where the heads of a group have one list, by tile row and then
// stack of heads; else by stack and then tile row, since neighbouring queries see alike.
struct RowBlockPairs {
  TileLayout layout;

  MASKERADE_HOST_DEVICE bool shares_lists() const {
    return !layout.own_layers && layout.mask_heads <= layout.kv_heads;
  }
  MASKERADE_HOST_DEVICE std::int64_t row_blocks_of_kv_head() const {
    return layout.stacks() * layout.tile_rows();
  }
  MASKERADE_HOST_DEVICE std::int64_t of_kv_head() const {
    return ceil_div(row_blocks_of_kv_head(), 2);
  }
  MASKERADE_HOST_DEVICE std::int64_t count() const {
    return layout.batch * layout.kv_heads * of_kv_head();
  }
  // Row block `side`, 0 or 1, of a pair; -1: the last of a kv head may have none at side 1.
  MASKERADE_HOST_DEVICE std::int64_t row_block(std::int64_t pair, int side) const {
    const std::int64_t i = pair % of_kv_head() * 2 + side;
    if (i >= row_blocks_of_kv_head()) return -1;
    const std::int64_t first = pair / of_kv_head() * row_blocks_of_kv_head();
    if (!shares_lists()) return first + i;
    return first + i % layout.stacks() * layout.tile_rows() + i / layout.stacks();
  }
};

// Walks the tiles of one or two lists, both in order of tiles, a tile that both have once.
struct PairedTiles {
  static constexpr std::int32_t kNotListed = -3;  // in place of TileEntry::bits

  const TileEntry* entries;
  Range ranges[2];  // what is left of each list

  MASKERADE_HOST_DEVICE explicit PairedTiles(const TileEntry* of) : entries(of) {}

  // The next tile, or -1 at the end. bits[side]: as in TileEntry, or kNotListed where that side
  // does not have the tile.
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
