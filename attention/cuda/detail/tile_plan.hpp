#pragma once

#include <cstdint>

#include "framework/mask/cuda/mask_view.hpp"
#include "framework/tensor/cuda/host_device.hpp"

// A mask made ready for the tile kernels, on the device without waiting for it: lists of the tiles
// that each row block attends to. Written against steps (HostSteps, DeviceSteps) and plain
// pointers, so that tests run it on the CPU.
namespace maskerade::cuda {

inline constexpr int kBlockRows = 64;  // most rows of a row block

// How rows are put into row blocks of up to 64 rows that read one kv head, as in a CPU plan: the
// queries of a tile row, and, below 64 queries, several heads of the kv group. Row r is
// (head, query) = (r / queries, r % queries). Row blocks whose heads share a mask head share a
// piece, a list of tiles.
struct TileLayout {
  std::int64_t batch = 1;
  std::int64_t query_heads = 1;
  std::int64_t kv_heads = 1;
  std::int64_t query_len = 1;
  std::int64_t mask_batch = 1;
  std::int64_t mask_heads = 1;
  std::int64_t queries = 1;  // of a row block
  std::int64_t heads = 1;    // of a row block
  bool own_layers = false;   // the heads of a row block have a mask head each

  static TileLayout of(std::int64_t batch,
                       std::int64_t query_heads,
                       std::int64_t kv_heads,
                       const MaskView& mask) {
    TileLayout layout{.batch = batch,
                      .query_heads = query_heads,
                      .kv_heads = kv_heads,
                      .query_len = mask.query_len,
                      .mask_batch = mask.batch,
                      .mask_heads = mask.heads,
                      .queries = mask.tile_height()};
    layout.heads = smaller(kBlockRows / layout.queries, layout.group());
    layout.own_layers = layout.heads > 1 && mask.heads == query_heads;
    return layout;
  }

  MASKERADE_HOST_DEVICE std::int64_t group() const { return query_heads / kv_heads; }
  MASKERADE_HOST_DEVICE std::int64_t stacks() const { return ceil_div(group(), heads); }
  MASKERADE_HOST_DEVICE std::int64_t tile_rows() const { return ceil_div(query_len, queries); }
  MASKERADE_HOST_DEVICE std::int64_t row_blocks() const {
    return batch * kv_heads * stacks() * tile_rows();
  }
  MASKERADE_HOST_DEVICE std::int64_t pieces() const {
    return mask_batch * (own_layers ? kv_heads * stacks() : mask_heads) * tile_rows();
  }
  // Rows that a piece has words for.
  MASKERADE_HOST_DEVICE std::int64_t piece_rows() const {
    return own_layers ? heads * queries : queries;
  }

  // Where a row block's rows stand. Row block: ((b * kv_heads + kv) * stacks + stack) * tile_rows +
  // tile_row.
  struct Place {
    std::int64_t batch;
    std::int64_t kv_head;
    std::int64_t first_head;
    std::int64_t heads;  // the last stack of a group may have fewer
    std::int64_t first_query;
  };
  MASKERADE_HOST_DEVICE Place place_of(std::int64_t row_block) const {
    const std::int64_t stack = row_block / tile_rows() % stacks();
    const std::int64_t kv = row_block / tile_rows() / stacks();
    return {kv / kv_heads, kv % kv_heads, kv % kv_heads * group() + stack * heads,
            smaller(heads, group() - stack * heads), row_block % tile_rows() * queries};
  }
  MASKERADE_HOST_DEVICE std::int64_t piece_of(std::int64_t row_block) const {
    const Place place = place_of(row_block);
    const std::int64_t b = mask_batch == 1 ? 0 : place.batch;
    const std::int64_t tile_row = row_block % tile_rows();
    if (own_layers) {
      return row_block - (place.batch - b) * kv_heads * stacks() * tile_rows();
    }
    return (b * mask_heads + place.first_head * mask_heads / query_heads) * tile_rows() + tile_row;
  }
  // Whether row r of a row block is there.
  MASKERADE_HOST_DEVICE bool has_row(const Place& place, std::int64_t r) const {
    return r / queries < place.heads && place.first_query + r % queries < query_len;
  }
  // Row r of a row block in [batch, query_heads, query_len].
  MASKERADE_HOST_DEVICE std::int64_t row_of(const Place& place, std::int64_t r) const {
    return (place.batch * query_heads + place.first_head + r / queries) * query_len +
           place.first_query + r % queries;
  }
  // The row of a piece's words that row r of a row block reads.
  MASKERADE_HOST_DEVICE std::int64_t piece_row(std::int64_t r) const {
    return own_layers ? r : r % queries;
  }

  // The mask slice and query of a piece's row; slice -1: there is no such row.
  struct MaskRow {
    std::int64_t slice;
    std::int64_t query;
  };
  MASKERADE_HOST_DEVICE MaskRow mask_row(std::int64_t piece, std::int64_t row) const {
    const std::int64_t query = piece % tile_rows() * queries + row % queries;
    if (query >= query_len) return {-1, 0};
    if (!own_layers) return {piece / tile_rows(), query};
    const Place place = place_of(piece);  // pieces are the row blocks of mask_batch entries
    if (row / queries >= place.heads) return {-1, 0};
    return {place.batch * mask_heads + place.first_head + row / queries, query};
  }
};

// A tile that a piece's rows attend to.
struct TileEntry {
  std::int32_t tile = 0;
  // >= 0: its words are bits[bits * piece_rows + row]; else kAllVisible or kNoneActive.
  std::int32_t bits = -1;
};
inline constexpr std::int32_t kAllVisible = -1;  // every row attends to all that it sees
inline constexpr std::int32_t kNoneActive = -2;  // no row attends to any: in dense plans

// The arrays of a plan, in one memory space.
struct TilePlanArrays {
  std::int64_t* entry_offsets = nullptr;  // [pieces * words + 1] in entries, by word of the bitmap
  std::int64_t* bits_offsets = nullptr;   // [pieces * words + 1] in tiles with words
  TileEntry* entries = nullptr;           // [entry_capacity]
  std::int64_t* sources = nullptr;        // [bits_capacity] piece * tiles + tile
  std::uint64_t* bits = nullptr;          // [bits_capacity * piece_rows]
  std::int64_t entry_capacity = 0;
  std::int64_t bits_capacity = 0;
  std::int32_t* overflow = nullptr;  // set to 1 when a capacity was too small
};

// What a tile kernel reads.
struct TilePlan {
  TileLayout layout;
  MaskView mask;
  bool is_dense = false;  // every visible tile, the mask applied
  TilePlanArrays arrays;

  // The entries of a piece; none of any piece after an overflow.
  MASKERADE_HOST_DEVICE Range entries_of(std::int64_t piece) const {
    if (*arrays.overflow != 0) return {};
    return {arrays.entry_offsets[piece * mask.words()],
            arrays.entry_offsets[(piece + 1) * mask.words()]};
  }
};

namespace detail {

// Bit t: tile 64 * word + t is in the piece's list, needs words, has an active entry.
struct PieceTiles {
  std::uint64_t listed = 0;
  std::uint64_t partial = 0;
  std::uint64_t active = 0;
};

MASKERADE_HOST_DEVICE PieceTiles piece_tiles(const TilePlan& plan,
                                             std::int64_t piece,
                                             std::int64_t word) {
  const MaskView& mask = plan.mask;
  std::uint64_t any = 0;
  std::uint64_t full = ~std::uint64_t{0};
  std::int64_t most_end = 0;
  for (std::int64_t r = 0; r < plan.layout.piece_rows(); ++r) {
    const TileLayout::MaskRow row = plan.layout.mask_row(piece, r);
    if (row.slice < 0) continue;
    most_end = larger<std::int64_t>(most_end, mask.ends[row.query]);
    if (r % plan.layout.queries == 0) {
      const std::int64_t at = mask.tile_row_index(row.slice, row.query) * mask.words() + word;
      any |= mask.any[at];
      full &= mask.full[at];
    }
    if (!mask.has_sampled()) continue;
    const std::int64_t first_key = word * 64 * kTileKeys;
    const std::int64_t end = mask.sampled_end(row.slice, row.query);
    for (std::int64_t s = mask.first_sampled(row.slice, row.query, first_key);
         s < end && mask.sampled_keys[s] < first_key + 64 * kTileKeys; ++s) {
      any |= std::uint64_t{1} << ((mask.sampled_keys[s] - first_key) / kTileKeys);
    }
  }
  const std::uint64_t visible = low_bits(ceil_div(most_end, kTileKeys) - word * 64);
  return {plan.is_dense ? visible : any, any & ~full, any};
}

struct CountTiles {
  TilePlan plan;
  MASKERADE_HOST_DEVICE void operator()(std::int64_t i) const {
    const PieceTiles tiles = piece_tiles(plan, i / plan.mask.words(), i % plan.mask.words());
    plan.arrays.entry_offsets[i] = popcount(tiles.listed);
    plan.arrays.bits_offsets[i] = popcount(tiles.partial);
  }
};

struct ListTiles {
  TilePlan plan;
  MASKERADE_HOST_DEVICE void operator()(std::int64_t i) const {
    const std::int64_t piece = i / plan.mask.words();
    const std::int64_t word = i % plan.mask.words();
    const PieceTiles tiles = piece_tiles(plan, piece, word);
    std::int64_t entry = plan.arrays.entry_offsets[i];
    std::int64_t bits = plan.arrays.bits_offsets[i];
    for (std::uint64_t left = tiles.listed; left != 0; left &= left - 1) {
      const int bit = lowest_bit(left);
      const bool is_partial = ((tiles.partial >> bit) & 1U) != 0;
      if (entry >= plan.arrays.entry_capacity ||
          (is_partial && bits >= plan.arrays.bits_capacity)) {
        *plan.arrays.overflow = 1;
        return;
      }
      const auto tile = static_cast<std::int32_t>(word * 64 + bit);
      const bool is_active = ((tiles.active >> bit) & 1U) != 0;
      plan.arrays.entries[entry++] = {tile, is_partial  ? static_cast<std::int32_t>(bits)
                                            : is_active ? kAllVisible
                                                        : kNoneActive};
      if (is_partial) plan.arrays.sources[bits++] = piece * plan.mask.tiles() + tile;
    }
  }
};

struct CopyWords {
  TilePlan plan;
  MASKERADE_HOST_DEVICE void operator()(std::int64_t i) const {
    const std::int64_t bits = i / plan.layout.piece_rows();
    if (*plan.arrays.overflow != 0) return;
    if (bits >= plan.arrays.bits_offsets[plan.layout.pieces() * plan.mask.words()]) return;
    const std::int64_t source = plan.arrays.sources[bits];
    const std::int64_t tile = source % plan.mask.tiles();
    const TileLayout::MaskRow row =
        plan.layout.mask_row(source / plan.mask.tiles(), i % plan.layout.piece_rows());
    plan.arrays.bits[i] = row.slice < 0 ? 0 : plan.mask.support_word(row.slice, row.query, tile);
  }
};

}  // namespace detail

// Fills a plan's arrays; *overflow is 0 before.
template <typename Steps>
void make_tile_plan(const Steps& steps, const TilePlan& plan) {
  const std::int64_t items = plan.layout.pieces() * plan.mask.words();
  steps.for_each(items, detail::CountTiles{plan});
  steps.exclusive_sum(plan.arrays.entry_offsets, items);
  steps.exclusive_sum(plan.arrays.bits_offsets, items);
  steps.for_each(items, detail::ListTiles{plan});
  steps.for_each(plan.arrays.bits_capacity * plan.layout.piece_rows(), detail::CopyWords{plan});
}

}  // namespace maskerade::cuda
