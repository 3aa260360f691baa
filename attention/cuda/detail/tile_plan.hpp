#pragma once

#include <cstdint>

#include "attention/cuda/detail/plan_shape.hpp"
#include "framework/mask/cuda/mask_view.hpp"
#include "framework/tensor/cuda/host_device.hpp"

// The plan of the tile kernels: lists of the tiles that each row block attends to. The device makes
// it from a mask in its memory, and the host does not wait. It is written against steps (HostSteps,
// DeviceSteps) and plain pointers, so that tests run the same code on the CPU.
namespace maskerade::cuda {

inline constexpr int kBlockRows = 64;  // the most rows of a row block

// How rows are put into row blocks of up to kBlockRows rows that read one kv head, as in a CPU
// plan. The rows of a row block are the queries of one tile row of the mask, and, where these are
// fewer than 64, those of several heads of the group, a stack: row r is head r / queries and query
// r % queries of the row block. Row blocks are numbered [batch, kv_heads, stacks, tile_rows]. Row
// blocks whose heads read the same mask head share a piece, which has one list of tiles.
struct TileLayout : PlanShape {
  std::int64_t queries = 1;        // the most queries of a row block
  std::int64_t heads = 1;          // the most heads of a row block
  bool has_mask_per_head = false;  // whether each head of a row block has a mask head of its own

  static TileLayout of(std::int64_t batch,
                       std::int64_t query_heads,
                       std::int64_t kv_heads,
                       const MaskView& mask) {
    TileLayout layout{PlanShape::of(batch, query_heads, kv_heads, mask)};
    layout.queries = mask.tile_height();
    layout.heads = smaller(kBlockRows / layout.queries, layout.group());
    layout.has_mask_per_head = layout.heads > 1 && mask.heads == query_heads;
    return layout;
  }

  // Stacks of a group.
  MASKERADE_HOST_DEVICE std::int64_t stacks() const { return ceil_div(group(), heads); }
  MASKERADE_HOST_DEVICE std::int64_t tile_rows() const { return ceil_div(query_len, queries); }
  MASKERADE_HOST_DEVICE std::int64_t row_blocks() const {
    return batch * kv_heads * stacks() * tile_rows();
  }
  MASKERADE_HOST_DEVICE std::int64_t pieces() const {
    return mask_batch * (has_mask_per_head ? kv_heads * stacks() : mask_heads) * tile_rows();
  }
  // Words that a piece has for each partial tile: one for each row whose active keys may differ.
  MASKERADE_HOST_DEVICE std::int64_t piece_rows() const {
    return has_mask_per_head ? heads * queries : queries;
  }

  // The rows of a row block.
  struct RowBlock {
    std::int64_t batch;
    std::int64_t kv_head;
    std::int64_t first_head;
    std::int64_t heads;  // the last stack of a group may have fewer than the others
    std::int64_t first_query;
  };
  MASKERADE_HOST_DEVICE RowBlock row_block_at(std::int64_t row_block) const {
    const std::int64_t stack = row_block / tile_rows() % stacks();
    const std::int64_t kv = row_block / tile_rows() / stacks();
    return {kv / kv_heads, kv % kv_heads, kv % kv_heads * group() + stack * heads,
            smaller(heads, group() - stack * heads), row_block % tile_rows() * queries};
  }
  // The piece that a row block reads.
  MASKERADE_HOST_DEVICE std::int64_t piece_of(std::int64_t row_block) const {
    const RowBlock block = row_block_at(row_block);
    const std::int64_t b = mask_batch == 1 ? 0 : block.batch;
    const std::int64_t tile_row = row_block % tile_rows();
    if (has_mask_per_head) {
      return row_block - (block.batch - b) * kv_heads * stacks() * tile_rows();
    }
    return (b * mask_heads + block.first_head * mask_heads / query_heads) * tile_rows() + tile_row;
  }
  // Whether a row block has a row r.
  MASKERADE_HOST_DEVICE bool has_row(const RowBlock& block, std::int64_t r) const {
    return r / queries < block.heads && block.first_query + r % queries < query_len;
  }
  // The index in [batch, query_heads, query_len] of row r of a row block.
  MASKERADE_HOST_DEVICE std::int64_t row_of(const RowBlock& block, std::int64_t r) const {
    return (block.batch * query_heads + block.first_head + r / queries) * query_len +
           block.first_query + r % queries;
  }
  // Which of a piece's words for a partial tile is that of row r of a row block.
  MASKERADE_HOST_DEVICE std::int64_t piece_row(std::int64_t r) const {
    return has_mask_per_head ? r : r % queries;
  }

  // A row of the mask.
  struct MaskRow {
    std::int64_t slice;  // in [mask_batch, mask_heads]; -1: there is no such row
    std::int64_t query;
  };
  // The row of the mask that word `row` of a piece's partial tiles holds.
  MASKERADE_HOST_DEVICE MaskRow mask_row(std::int64_t piece, std::int64_t row) const {
    const std::int64_t query = piece % tile_rows() * queries + row % queries;
    if (query >= query_len) return {-1, 0};
    if (!has_mask_per_head) return {piece / tile_rows(), query};
    // Pieces are numbered as the row blocks of a problem of mask_batch batches.
    const RowBlock block = row_block_at(piece);
    if (row / queries >= block.heads) return {-1, 0};
    return {block.batch * mask_heads + block.first_head + row / queries, query};
  }
};

// A tile in the list of a piece.
struct TileEntry {
  std::int32_t tile = 0;  // keys 64 tile ... 64 tile + 63
  // >= 0: the tile is partial, and word `row` of it is arrays.bits[bits * piece_rows + row].
  // Otherwise kAllVisible or kNoneActive.
  std::int32_t bits = -1;
};
inline constexpr std::int32_t kAllVisible = -1;  // in every row every visible key is active
inline constexpr std::int32_t kNoneActive = -2;  // no key is active in any row; in dense plans

// The arrays of a tile plan, all in one memory space and owned by the caller. `words` is the number
// of 64-bit words of the mask's bitmap of a tile row: each stands for 64 tiles.
struct TilePlanArrays {
  std::int64_t* entry_offsets = nullptr;  // [pieces * words + 1] where the entries of a word begin
  std::int64_t* bits_offsets = nullptr;   // [pieces * words + 1] where its partial tiles begin
  TileEntry* entries = nullptr;           // [entry_capacity] in ascending order within a piece
  std::int64_t* sources = nullptr;        // [bits_capacity] piece * tiles + tile of a partial tile
  std::uint64_t* bits = nullptr;          // [bits_capacity][piece_rows] its active columns
  std::int64_t entry_capacity = 0;
  std::int64_t bits_capacity = 0;
  std::int32_t* overflow = nullptr;  // one number: 1 when a capacity was too small, else 0
};

// A plan of the tile kernels. A view of the mask and the arrays.
struct TilePlan {
  TileLayout layout;
  MaskView mask;
  bool is_dense = false;  // lists every visible tile, not only those with an active key
  TilePlanArrays arrays;

  // Where the entries of a piece stand in arrays.entries; empty for every piece after an overflow.
  MASKERADE_HOST_DEVICE Range entries_of(std::int64_t piece) const {
    if (*arrays.overflow != 0) return {};
    return {arrays.entry_offsets[piece * mask.words()],
            arrays.entry_offsets[(piece + 1) * mask.words()]};
  }
};

namespace detail {

// 64 tiles of a piece, those of one word of the bitmap: bit t stands for tile 64 * word + t.
struct PieceTiles {
  std::uint64_t listed = 0;   // it is in the piece's list
  std::uint64_t partial = 0;  // it is listed with words: it is active, but not full in every row
  std::uint64_t active = 0;   // it has an active key
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

// Call i sets the offsets of word i, in [pieces, words], to the numbers of its listed and of its
// partial tiles.
struct CountTiles {
  TilePlan plan;
  MASKERADE_HOST_DEVICE void operator()(std::int64_t i) const {
    const PieceTiles tiles = piece_tiles(plan, i / plan.mask.words(), i % plan.mask.words());
    plan.arrays.entry_offsets[i] = popcount(tiles.listed);
    plan.arrays.bits_offsets[i] = popcount(tiles.partial);
  }
};

// Call i lists the tiles of word i, once the offsets say where they begin.
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

// Call i fills bits[i], once the partial tiles are listed.
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

// Fills a plan's arrays by steps, HostSteps or DeviceSteps. *overflow must be 0 before.
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
