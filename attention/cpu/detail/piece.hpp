#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "attention/cpu/cost_model.hpp"
#include "attention/cpu/cpu_plan.hpp"
#include "framework/mask/bit_words.hpp"

namespace maskerade::detail {

// A part of a plan under construction: some row blocks, with offsets into the part's own arrays.
struct Part {
  // Their first_head counts within the piece; batch and kv_head are not set yet.
  std::vector<RowBlock> row_blocks;
  std::vector<KeyBlock> key_blocks;
  std::vector<std::uint64_t> bits;
  std::vector<std::int32_t> key_list;
  std::vector<PlannedSample> samples;

  // Gives a key block its bits, words[rows]. None are stored when every row has all columns.
  void add_bits(KeyBlock& block, std::span<const std::uint64_t> words) {
    const std::uint64_t all = low_bits(block.count);
    if (std::all_of(words.begin(), words.end(), [all](auto word) { return word == all; })) return;
    block.bits_offset = static_cast<std::int64_t>(bits.size());
    bits.insert(bits.end(), words.begin(), words.end());
  }
};

// What is planned at once: the queries of one tile row for some heads of one kv group. Where a mask
// is broadcast, a piece is planned once for all batch entries and groups that read it.
struct Piece {
  std::int64_t mask_batch = 0;
  std::int64_t mask_head = 0;  // of the first head
  std::int64_t heads = 0;
  bool is_shared = false;  // whether all heads read mask_head; otherwise each reads the next one
  std::int64_t first_head = 0;  // of the heads of the group that are planned together
  std::int64_t tile_row = 0;

  // The piece that holds `count` of its heads, from number `first` on.
  Piece heads_from(std::int64_t first, std::int64_t count) const {
    Piece piece = *this;
    piece.first_head += first;
    if (!is_shared) piece.mask_head += first;
    piece.heads = count;
    return piece;
  }
};

// What the mask holds for a piece: a view of the tile row of each of its mask heads. Heads of the
// piece that share a mask head share a view.
class PieceMask {
 public:
  PieceMask(const Mask& mask, const Piece& piece)
      : mask_(mask), batch_(piece.mask_batch), first_mask_head_(piece.mask_head) {
    for (std::int64_t i = 0; i < (piece.is_shared ? 1 : piece.heads); ++i) {
      views_.push_back(mask.tile_row(batch_, first_mask_head_ + i, piece.tile_row));
    }
    first_query_ = views_.front().first_query;
    queries_ = views_.front().rows;
  }

  std::int64_t first_query() const { return first_query_; }
  std::int64_t queries() const { return queries_; }
  std::size_t view_count() const { return views_.size(); }
  std::size_t view_of(std::int64_t head) const {
    return views_.size() == 1 ? 0 : static_cast<std::size_t>(head);
  }
  const TileRowView& view(std::size_t i) const { return views_[i]; }
  bool has_sampled() const { return mask_.has_sampled(); }
  SampledEntries sampled(std::size_t i, std::int64_t query) const {
    return mask_.sampled(batch_, first_mask_head_ + static_cast<std::int64_t>(i),
                         first_query_ + query);
  }
  // A bit for each key of a tile that a query of the piece sees.
  std::uint64_t visible_word(std::int64_t query, std::int64_t tile) const {
    return low_bits(mask_.visibility().end(first_query_ + query) - tile * kTileKeys);
  }
  std::int64_t first_visible_end() const {
    std::int64_t end = mask_.key_len();
    for (std::int64_t q = 0; q < queries_; ++q) {
      end = std::min(end, mask_.visibility().end(first_query_ + q));
    }
    return end;
  }
  std::int64_t key_len() const { return mask_.key_len(); }

  // How many tiles hold a key that some query of the piece sees.
  std::int64_t visible_tiles() const {
    std::int64_t end = 0;
    for (std::int64_t q = 0; q < queries_; ++q) {
      end = std::max(end, mask_.visibility().end(first_query_ + q));
    }
    return (end + kTileKeys - 1) / kTileKeys;
  }

  // A bitmap of the tiles that hold an active entry of any probability.
  std::vector<std::uint64_t> touched_tiles() const {
    std::vector<std::uint64_t> touched(static_cast<std::size_t>((mask_.tile_count() + 63) / 64));
    for (std::size_t i = 0; i < view_count(); ++i) {
      for (std::size_t w = 0; w < touched.size(); ++w) touched[w] |= view(i).any[w];
      if (!has_sampled()) continue;
      for (std::int64_t q = 0; q < queries_; ++q) {
        for (const std::int32_t key : sampled(i, q).keys) {
          const auto tile = static_cast<std::size_t>(key / kTileKeys);
          touched[tile / 64] |= std::uint64_t{1} << (tile % 64);
        }
      }
    }
    return touched;
  }

 private:
  const Mask& mask_;
  std::int64_t batch_;
  std::int64_t first_mask_head_;
  std::int64_t first_query_ = 0;
  std::int64_t queries_ = 0;
  std::vector<TileRowView> views_;  // one for each mask head
};

// What the choice of a walk depends on besides the mask.
struct Choice {
  std::optional<Walk> walk;  // nullopt: the one that is predicted to be the fastest
  DType dtype;
  std::int64_t head_dim;
  const CostModel& costs;
  bool is_decode;  // see BlockWork

  double block_ns(BlockWork work) const {
    work.is_decode = is_decode;
    return costs.block_ns(dtype, head_dim, work);
  }
};

// Appends the row blocks of a piece.
void plan_piece(const Mask& mask, const Piece& piece, const Choice& choice, Part& part);

// Appends row blocks of whole heads that read tiles: for kDense all that a query sees, otherwise
// those with an active entry. With nullopt a row block whose every visible tile has an active entry
// is called dense.
void plan_tiles(const Mask& mask, const Piece& piece, std::optional<Walk> walk, Part& part);
// What attending to the tiles with an active entry is predicted to take.
double tiles_ns(const Mask& mask, const Piece& piece, const Choice& choice);

// Row blocks that read the active keys of a piece alone, as lists.
class RowsPlan {
 public:
  RowsPlan(const Mask& mask, const Piece& piece, const Choice& choice);
  ~RowsPlan();
  // What attending and planning are predicted to take.
  double ns() const { return ns_; }
  void append_to(Part& part) const;

 private:
  class ActiveWords;
  class RowBlocks;
  // Heads of the piece that share row blocks: all, or each its own.
  struct Stack {
    std::int64_t first_head = 0;
    std::int64_t heads = 0;
    std::int64_t queries = 0;  // of a row block
  };

  std::int64_t first_head_;
  std::unique_ptr<ActiveWords> active_;
  std::vector<Stack> stacks_;
  double ns_ = 0;
};

}  // namespace maskerade::detail
