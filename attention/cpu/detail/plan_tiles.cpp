#include <algorithm>
#include <bit>
#include <cmath>

#include "attention/cpu/detail/piece.hpp"

namespace maskerade::detail {
namespace {

// Walks tiles in ascending order and gives each row's words.
class TileWords {
 public:
  TileWords(const PieceMask& mask, std::int64_t heads)
      : mask_(mask),
        heads_(heads),
        sees_all_below_(mask.first_visible_end()),
        words_(static_cast<std::size_t>(heads * mask.queries())),
        sampled_done_(mask.has_sampled() ? words_.size() : 0) {
    for (std::size_t i = 0; i < mask.view_count(); ++i) {
      partial_.push_back(mask.view(i).partial);
    }
  }

  // Appends the key block of `tile` to part. Tiles come in ascending order, and all that are
  // touched.
  void add_block(std::int64_t tile, Part& part) {
    KeyBlock block;
    block.first_key = tile * kTileKeys;
    block.count = static_cast<std::int32_t>(std::min(kTileKeys, mask_.key_len() - block.first_key));
    block.samples_begin = static_cast<std::int64_t>(part.samples.size());
    if (!is_all_active(tile, block)) {
      read_words(tile);
      add_samples(tile, part);
      part.add_bits(block, words_);
    }
    block.samples_end = static_cast<std::int64_t>(part.samples.size());
    part.key_blocks.push_back(block);
  }

 private:
  static bool bit(std::span<const std::uint64_t> bitmap, std::int64_t tile) {
    return ((bitmap[static_cast<std::size_t>(tile / 64)] >> (tile % 64)) & 1U) != 0;
  }

  bool is_all_active(std::int64_t tile, const KeyBlock& block) const {
    if (block.first_key + block.count > sees_all_below_) return false;
    for (std::size_t i = 0; i < mask_.view_count(); ++i) {
      if (!bit(mask_.view(i).full, tile)) return false;
    }
    return true;
  }

  void read_words(std::int64_t tile) {
    const std::int64_t queries = mask_.queries();
    for (std::size_t i = 0; i < mask_.view_count(); ++i) {
      const TileRowView& view = mask_.view(i);
      const bool any = bit(view.any, tile);
      const bool full = bit(view.full, tile);
      for (std::int64_t h = 0; h < heads_; ++h) {
        if (mask_.view_of(h) != i) continue;
        std::uint64_t* rows = words_.data() + h * queries;
        for (std::int64_t q = 0; q < queries; ++q) {
          rows[q] = full ? mask_.visible_word(q, tile) : any ? partial_[i][q] : 0;
        }
      }
      if (any && !full) partial_[i] += queries;
    }
  }

  void add_samples(std::int64_t tile, Part& part) {
    for (std::size_t row = 0; row < sampled_done_.size(); ++row) {
      const auto queries = static_cast<std::size_t>(mask_.queries());
      const SampledEntries sampled =
          mask_.sampled(mask_.view_of(static_cast<std::int64_t>(row / queries)),
                        static_cast<std::int64_t>(row % queries));
      std::size_t& s = sampled_done_[row];
      for (; s < sampled.keys.size() && sampled.keys[s] / kTileKeys == tile; ++s) {
        const std::int64_t column = sampled.keys[s] % kTileKeys;
        words_[row] |= std::uint64_t{1} << column;
        part.samples.push_back({static_cast<std::int16_t>(row), static_cast<std::int16_t>(column),
                                std::log(sampled.probabilities[s])});
      }
    }
  }

  const PieceMask& mask_;
  std::int64_t heads_;
  std::int64_t sees_all_below_;  // every query sees every key below
  std::vector<std::uint64_t> words_;
  std::vector<std::size_t> sampled_done_;      // by row: sampled entries already planned
  std::vector<const std::uint64_t*> partial_;  // by mask head: words of its next partial tile
};

// The heads of a row block.
std::int64_t stacked_heads(const Mask& mask, const Piece& piece) {
  return std::clamp<std::int64_t>(kMaxRows / mask.tile_height(), 1, piece.heads);
}

std::int64_t count_tiles(const std::vector<std::uint64_t>& bitmap) {
  return count_bits(bitmap.data(), static_cast<std::int64_t>(bitmap.size()));
}

// Appends the key blocks of a row block; returns the walk that they amount to.
Walk add_key_blocks(const Mask& mask, const Piece& piece, std::optional<Walk> walk, Part& part) {
  const PieceMask piece_mask(mask, piece);
  TileWords words(piece_mask, piece.heads);
  std::vector<std::uint64_t> tiles = piece_mask.touched_tiles();
  const std::int64_t visible_tiles = piece_mask.visible_tiles();
  if (walk == Walk::kDense) {
    for (std::size_t w = 0; w < tiles.size(); ++w) {
      tiles[w] = low_bits(visible_tiles - static_cast<std::int64_t>(w) * 64);
    }
  }
  for (std::size_t w = 0; w < tiles.size(); ++w) {
    for (std::uint64_t left = tiles[w]; left != 0; left &= left - 1) {
      words.add_block(static_cast<std::int64_t>(w) * 64 + std::countr_zero(left), part);
    }
  }
  if (walk) return *walk;
  return count_tiles(tiles) == visible_tiles ? Walk::kDense : Walk::kTiles;
}

}  // namespace

void plan_tiles(const Mask& mask, const Piece& piece, std::optional<Walk> walk, Part& part) {
  const std::int64_t stacked = stacked_heads(mask, piece);
  RowBlock rows{.first_query = piece.tile_row * mask.tile_height(),
                .queries = static_cast<std::int32_t>(std::min(
                    mask.tile_height(), mask.query_len() - piece.tile_row * mask.tile_height()))};
  for (std::int64_t h = 0; h < piece.heads; h += stacked) {
    const Piece heads = piece.heads_from(h, std::min(stacked, piece.heads - h));
    // Row blocks of as many heads that share a mask head attend to the same key blocks.
    if (h == 0 || !piece.is_shared || heads.heads != stacked) {
      rows.blocks_begin = static_cast<std::int64_t>(part.key_blocks.size());
      rows.walk = add_key_blocks(mask, heads, walk, part);
      rows.blocks_end = static_cast<std::int64_t>(part.key_blocks.size());
    }
    rows.first_head = heads.first_head;
    rows.heads = static_cast<std::int32_t>(heads.heads);
    part.row_blocks.push_back(rows);
  }
}

double tiles_ns(const Mask& mask, const Piece& piece, const Choice& choice) {
  const std::int64_t stacked = stacked_heads(mask, piece);
  double ns = 0;
  double last_ns = 0;
  for (std::int64_t h = 0; h < piece.heads; h += stacked) {
    const Piece heads = piece.heads_from(h, std::min(stacked, piece.heads - h));
    if (h == 0 || !piece.is_shared || heads.heads != stacked) {
      const PieceMask piece_mask(mask, heads);
      const std::vector<std::uint64_t> touched = piece_mask.touched_tiles();
      std::vector<std::uint64_t> full = touched;
      for (std::size_t i = 0; i < piece_mask.view_count(); ++i) {
        for (std::size_t w = 0; w < full.size(); ++w) full[w] &= piece_mask.view(i).full[w];
      }
      const std::int64_t tiles = count_tiles(touched);
      last_ns = choice.block_ns({.rows = heads.heads * piece_mask.queries(),
                                 .keys = tiles * kTileKeys,
                                 .masked_keys = (tiles - count_tiles(full)) * kTileKeys});
    }
    ns += last_ns;
  }
  return ns;
}

}  // namespace maskerade::detail
