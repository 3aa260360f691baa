#pragma once

#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "framework/mask/mask.hpp"

namespace maskerade {

// One tile row in canonical form, as its own memory; the parts of Mask's arrays.
struct TileRow {
  std::vector<std::uint64_t> any;
  std::vector<std::uint64_t> full;
  std::vector<std::uint64_t> partial;        // [partial tiles][rows]
  std::vector<std::int64_t> sampled_counts;  // [rows], or empty: none
  std::vector<std::int32_t> sampled_keys;
  std::vector<float> sampled_probabilities;
};

// Collects the entries of one tile row in any order and brings them into canonical form. Rows count
// from the tile row's first query. Memory and time follow the tiles touched, not rows x keys; reuse
// one builder for many tile rows (start). Every write is clipped to what the row sees. A builder
// belongs to one thread, reads included; a span it gave out holds until the next write.
class TileRowBuilder {
 public:
  explicit TileRowBuilder(const Visibility& visibility);

  // Forgets everything and begins tile row `tile_row`, from nothing or from `previous`, a mask of
  // the same visibility. Throws ShapeError when the lengths of `previous` differ.
  void start(std::int64_t tile_row);
  void start(std::int64_t tile_row, const Mask& previous, std::int64_t b, std::int64_t h);

  int rows() const noexcept { return rows_; }
  std::int64_t visible_end(int row) const noexcept;

  // Adds keys [key_begin, key_end) with probability 1; a range may reach outside [0, key_len).
  void add_range(int row, std::int64_t key_begin, std::int64_t key_end);
  // The same for rows [row_begin, row_end): what they share costs as much as one row.
  void add_range(int row_begin, int row_end, std::int64_t key_begin, std::int64_t key_end);
  // Adds one key. Requires 0 <= key < key_len, 0 < probability <= 1. An entry that exists already
  // is united: 1 if either is 1, else 1 - (1-p)(1-p').
  void add_key(int row, std::int64_t key, float probability = 1.0F);
  // Adds bits: bit j of `bits` is key 64 * tile + j.
  void add_word(int row, std::int64_t tile, std::uint64_t bits);

  // The bits (probability 1) of one tile of a row.
  std::uint64_t word(int row, std::int64_t tile) const noexcept;
  // The bits that are active with whatever probability.
  std::uint64_t support_word(int row, std::int64_t tile) const;
  bool is_active(int row, std::int64_t key) const;
  // Active entries of a row, with whatever probability.
  std::int64_t active_count(int row) const;
  // The entries of a row with probability < 1, by ascending key.
  std::span<const std::pair<std::int32_t, float>> sampled(int row) const;

  // The canonical tile row. The builder keeps its contents.
  TileRow finish() const;

 private:
  std::uint64_t* touch(std::int64_t tile);
  void add_visible(int row, std::int64_t tile, std::uint64_t bits);
  // Sets all bits of tiles [first, last) in the rows of `row_bits`, which see them.
  void add_tiles(std::uint64_t row_bits, std::int64_t first, std::int64_t last);
  void read_words(std::int64_t tile, std::uint64_t* words) const noexcept;
  bool has_bit(int row, std::int64_t key) const noexcept;
  // Brings a row's sampled entries into order, unites those with the same key and drops bits.
  void settle(int row) const;

  Visibility visibility_;
  std::int64_t first_query_ = 0;
  int rows_ = 0;
  std::uint64_t all_rows_ = 0;  // bit r: row r of the tile row
  // A row's bits in a tile are all 64 keys if it is in ones_, else its word if the tile has words,
  // else none. So a wide range costs a bit, not a word, per tile. Only visible bits are set.
  std::vector<std::uint64_t> any_;    // bit t: tile t was written
  std::vector<std::uint64_t> ones_;   // [tiles] bit r: row r has all 64 keys
  std::vector<std::int32_t> slots_;   // [tiles] 1 + index of the tile's words, 0: none
  std::vector<std::uint64_t> words_;  // [tiles with words][rows]
  // [64] By ascending key and disjoint from the bits once settled; a row is settled when it is
  // read.
  mutable std::vector<std::vector<std::pair<std::int32_t, float>>> sampled_;
  mutable std::uint64_t unsettled_ = 0;  // bit r: row r's entries are not in order
  std::uint64_t has_sampled_ = 0;        // bit r: row r was given sampled entries
};

}  // namespace maskerade
