#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <vector>

#include "attention/plan.hpp"

namespace maskerade::detail {

// Bits 0 ... count - 1; none for count <= 0.
inline std::uint64_t low_bits(std::int64_t count) {
  if (count >= 64) return ~std::uint64_t{0};
  return count <= 0 ? 0 : (std::uint64_t{1} << count) - 1;
}

// Some row blocks, with offsets into the part's own arrays.
struct Part {
  std::vector<RowBlock> row_blocks;
  std::vector<KeyBlock> key_blocks;
  std::vector<std::uint64_t> bits;
  std::vector<std::int32_t> key_list;
  std::vector<PlannedSample> samples;

  // The words of a key block's rows; left out when every row has all `count` columns.
  void add_bits(KeyBlock& block, std::span<const std::uint64_t> words) {
    const std::uint64_t all = low_bits(block.count);
    if (std::all_of(words.begin(), words.end(), [all](auto word) { return word == all; })) return;
    block.bits_offset = static_cast<std::int64_t>(bits.size());
    bits.insert(bits.end(), words.begin(), words.end());
  }
};

// The queries of one tile row for some heads of one kv group.
struct Piece {
  std::int64_t batch = 0;
  std::int64_t kv_head = 0;
  std::int64_t first_head = 0;
  std::int64_t heads = 0;
  std::int64_t tile_row = 0;
};

// What the mask holds for a piece. Heads that share a mask head share a layer.
class PieceMask {
 public:
  PieceMask(const Mask& mask, const AttentionShape& shape, const Piece& piece) : mask_(mask) {
    batch_ = mask.extent_batch(piece.batch);
    for (std::int64_t h = 0; h < piece.heads; ++h) {
      const std::int64_t head = mask.extent_head(piece.first_head + h, shape.query_heads);
      if (heads_.empty() || heads_.back() != head) {
        heads_.push_back(head);
        views_.push_back(mask.tile_row(batch_, head, piece.tile_row));
      }
      layers_.push_back(heads_.size() - 1);
    }
    first_query_ = views_.front().first_query;
    queries_ = views_.front().rows;
  }

  std::int64_t first_query() const { return first_query_; }
  std::int64_t queries() const { return queries_; }
  std::size_t layers() const { return views_.size(); }
  std::size_t layer_of(std::int64_t head) const { return layers_[static_cast<std::size_t>(head)]; }
  const TileRowView& view(std::size_t layer) const { return views_[layer]; }
  bool has_sampled() const { return mask_.has_sampled(); }
  SampledEntries sampled(std::size_t layer, std::int64_t query) const {
    return mask_.sampled(batch_, heads_[layer], first_query_ + query);
  }
  // Columns of a tile that a query of the piece sees.
  std::uint64_t visible_word(std::int64_t query, std::int64_t tile) const {
    return low_bits(mask_.visibility().end(first_query_ + query) - tile * kTileKeys);
  }
  std::int64_t last_visible_end() const {
    std::int64_t end = 0;
    for (std::int64_t q = 0; q < queries_; ++q) {
      end = std::max(end, mask_.visibility().end(first_query_ + q));
    }
    return end;
  }
  std::int64_t first_visible_end() const {
    std::int64_t end = mask_.key_len();
    for (std::int64_t q = 0; q < queries_; ++q) {
      end = std::min(end, mask_.visibility().end(first_query_ + q));
    }
    return end;
  }
  std::int64_t tile_count() const { return mask_.tile_count(); }
  std::int64_t key_len() const { return mask_.key_len(); }

  // Tiles with an active entry, bits or sampled; with `all`, every tile that a query sees.
  std::vector<std::uint64_t> touched_tiles(bool all) const {
    std::vector<std::uint64_t> touched(static_cast<std::size_t>((tile_count() + 63) / 64));
    if (all) {
      const std::int64_t tiles = (last_visible_end() + kTileKeys - 1) / kTileKeys;
      for (std::size_t w = 0; w < touched.size(); ++w) {
        touched[w] = low_bits(tiles - static_cast<std::int64_t>(w) * 64);
      }
      return touched;
    }
    for (std::size_t layer = 0; layer < layers(); ++layer) {
      for (std::size_t w = 0; w < touched.size(); ++w) touched[w] |= view(layer).any[w];
      if (!has_sampled()) continue;
      for (std::int64_t q = 0; q < queries_; ++q) {
        for (const std::int32_t key : sampled(layer, q).keys) {
          const auto tile = static_cast<std::size_t>(key / kTileKeys);
          touched[tile / 64] |= std::uint64_t{1} << (tile % 64);
        }
      }
    }
    return touched;
  }

 private:
  const Mask& mask_;
  std::int64_t batch_ = 0;
  std::int64_t first_query_ = 0;
  std::int64_t queries_ = 0;
  std::vector<std::int64_t> heads_;  // the mask's, by layer
  std::vector<TileRowView> views_;   // by layer
  std::vector<std::size_t> layers_;  // by head of the piece
};

// Append the row blocks of a piece: with its tiles (all that a query sees, or those with an active
// entry), or with lists of its active keys.
void plan_tiles(const Mask& mask,
                const AttentionShape& shape,
                const Piece& piece,
                bool all_visible,
                Part& part);
void plan_rows(const Mask& mask, const AttentionShape& shape, const Piece& piece, Part& part);

}  // namespace maskerade::detail
