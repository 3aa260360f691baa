#include <algorithm>
#include <bit>
#include <cmath>

#include "attention/detail/piece.hpp"

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
    for (std::size_t layer = 0; layer < mask.layers(); ++layer) {
      partial_.push_back(mask.view(layer).partial);
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
    for (std::size_t layer = 0; layer < mask_.layers(); ++layer) {
      if (!bit(mask_.view(layer).full, tile)) return false;
    }
    return true;
  }

  void read_words(std::int64_t tile) {
    const std::int64_t queries = mask_.queries();
    for (std::size_t layer = 0; layer < mask_.layers(); ++layer) {
      const TileRowView& view = mask_.view(layer);
      const bool any = bit(view.any, tile);
      const bool full = bit(view.full, tile);
      for (std::int64_t h = 0; h < heads_; ++h) {
        if (mask_.layer_of(h) != layer) continue;
        std::uint64_t* rows = words_.data() + h * queries;
        for (std::int64_t q = 0; q < queries; ++q) {
          rows[q] = full ? mask_.visible_word(q, tile) : any ? partial_[layer][q] : 0;
        }
      }
      if (any && !full) partial_[layer] += queries;
    }
  }

  void add_samples(std::int64_t tile, Part& part) {
    for (std::size_t row = 0; row < sampled_done_.size(); ++row) {
      const auto queries = static_cast<std::size_t>(mask_.queries());
      const SampledEntries sampled =
          mask_.sampled(mask_.layer_of(static_cast<std::int64_t>(row / queries)),
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
  std::vector<const std::uint64_t*> partial_;  // by layer: words of its next partial tile
};

}  // namespace

void plan_tiles(const Mask& mask,
                const AttentionShape& shape,
                const Piece& piece,
                bool all_visible,
                Part& part) {
  const PieceMask piece_mask(mask, shape, piece);
  TileWords words(piece_mask, piece.heads);
  RowBlock rows{.batch = piece.batch,
                .kv_head = piece.kv_head,
                .first_head = piece.first_head,
                .first_query = piece_mask.first_query(),
                .heads = static_cast<std::int32_t>(piece.heads),
                .queries = static_cast<std::int32_t>(piece_mask.queries())};
  const std::vector<std::uint64_t> touched = piece_mask.touched_tiles(all_visible);
  for (std::size_t w = 0; w < touched.size(); ++w) {
    for (std::uint64_t left = touched[w]; left != 0; left &= left - 1) {
      words.add_block(static_cast<std::int64_t>(w) * 64 + std::countr_zero(left), part);
    }
  }
  rows.blocks_end = static_cast<std::int64_t>(part.key_blocks.size());
  part.row_blocks.push_back(rows);
}

}  // namespace maskerade::detail
