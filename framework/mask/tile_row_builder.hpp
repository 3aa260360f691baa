#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "framework/mask/mask.hpp"

namespace maskerade {

// One tile row of a mask with memory of its own: what MaskArrays holds of it.
struct TileRow {
  std::vector<std::uint64_t> any;
  std::vector<std::uint64_t> full;
  std::vector<std::uint64_t> partial;        // [partial tiles][rows]
  std::vector<std::int64_t> sampled_counts;  // [rows]; empty when no row has sampled entries
  std::vector<std::int32_t> sampled_keys;    // row by row
  std::vector<float> sampled_probabilities;  // [sampled_keys.size()]
};

// One active key of a row, with an inclusion probability below 1.
struct SampledEntry {
  std::int32_t key = 0;
  float probability = 0;

  friend bool operator==(const SampledEntry&, const SampledEntry&) = default;
};

// Collects the entries of one tile row in any order and brings them into canonical form. Rows are
// counted from the tile row's first query. What a row does not see is left out of every write.
// Memory and time follow the tiles that are written, not rows x keys; start() reuses the memory for
// the next tile row. A builder belongs to one thread, reads included; a span that it gave is valid
// until the next write.
class TileRowBuilder {
 public:
  explicit TileRowBuilder(const Visibility& visibility);

  // Forgets everything and begins tile row `tile_row` of a mask: without entries, or with those
  // that `previous`, a mask of the same visibility, has there for (b, h). Throws ShapeError when
  // the lengths of `previous` differ.
  void start(std::int64_t tile_row);
  void start(std::int64_t tile_row, const Mask& previous, std::int64_t b, std::int64_t h);

  int rows() const noexcept { return rows_; }  // rows of this tile row
  // One past the last key that the row sees.
  std::int64_t visible_end(int row) const noexcept;

  // Adds the keys [key_begin, key_end) to a row with probability 1. The range may reach beyond
  // [0, key_len).
  void add_range(int row, std::int64_t key_begin, std::int64_t key_end);
  // Adds the keys to every row of [row_begin, row_end). Tiles that all of them see wholly cost as
  // much as for one row.
  void add_range(int row_begin, int row_end, std::int64_t key_begin, std::int64_t key_end);
  // Adds one key. Requires 0 <= key < key_len and 0 < probability <= 1. If the key is active
  // already, the two are united: the probability is 1 if either is 1, else 1 - (1 - p)(1 - p').
  void add_key(int row, std::int64_t key, float probability = 1.0F);
  // Adds the keys of one tile whose bits are set, with probability 1: bit j is key 64 * tile + j.
  void add_word(int row, std::int64_t tile, std::uint64_t bits);

  // The keys of a row that are active with probability 1 in one tile: bit j is key 64 * tile + j.
  std::uint64_t word(int row, std::int64_t tile) const noexcept;
  // Like word(), but of the keys that are active with whatever probability.
  std::uint64_t support_word(int row, std::int64_t tile) const;
  // Whether a key is active, with whatever probability.
  bool is_active(int row, std::int64_t key) const;
  // How many keys of a row are active, with whatever probability.
  std::int64_t active_count(int row) const;
  // The entries of a row with a probability below 1, by ascending key.
  std::span<const SampledEntry> sampled(int row) const;

  // A copy of the tile row in canonical form. The builder keeps its entries.
  TileRow finish() const;

 private:
  // The words[rows] of a tile in words_, which are made if the tile has none. Valid until the next
  // call.
  std::uint64_t* touch(std::int64_t tile);
  // Adds bits of a tile that the row sees.
  void add_visible(int row, std::int64_t tile, std::uint64_t bits);
  // Sets all bits of tiles [first, last) for the rows whose bit in `row_bits` is set. They must see
  // all keys of these tiles.
  void add_tiles(std::uint64_t row_bits, std::int64_t first, std::int64_t last);
  // Writes the bits of every row in a tile to words[rows].
  void read_words(std::int64_t tile, std::uint64_t* words) const noexcept;
  // Whether a key is active with probability 1.
  bool has_bit(int row, std::int64_t key) const noexcept;
  // Sorts a row's sampled entries by key, unites those of one key and drops those whose key is a
  // bit.
  void settle(int row) const;

  Visibility visibility_;
  std::int64_t first_query_ = 0;
  int rows_ = 0;
  std::uint64_t all_rows_ = 0;  // the bits 0 .. rows_ - 1
  // A row has all 64 keys of a tile if its bit in ones_ is set; else those of its word if the tile
  // has words; else none. So a wide range costs a bit, not a word, per tile. Only visible bits are
  // set.
  std::vector<std::uint64_t> any_;    // bit t: tile t was written
  std::vector<std::uint64_t> ones_;   // [tiles] bit r: row r has all 64 keys
  std::vector<std::int32_t> slots_;   // [tiles] 1 + index of the tile's words in words_; 0: none
  std::vector<std::uint64_t> words_;  // [tiles with words][rows]
  // [kTileRows] The sampled entries of each row, in the order in which they were added until
  // settle() sorts them, which it does when a row is read.
  mutable std::vector<std::vector<SampledEntry>> sampled_;
  mutable std::uint64_t unsettled_ =
      0;                           // bit r: row r's entries must be settled before they are read
  std::uint64_t has_sampled_ = 0;  // bit r: row r was given sampled entries
};

}  // namespace maskerade
