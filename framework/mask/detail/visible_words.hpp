#pragma once

#include <algorithm>
#include <array>
#include <cstdint>

#include "framework/mask/bit_words.hpp"
#include "framework/mask/mask.hpp"

namespace maskerade::detail {

// The words of one tile, one for each of its rows.
using TileWords = std::array<std::uint64_t, static_cast<std::size_t>(kTileRows)>;

inline constexpr TileWords kAllOnes = [] {
  TileWords words{};
  words.fill(~std::uint64_t{0});
  return words;
}();

// One row's visible bits in a tile, when the row sees the keys [0, end): bit j is key 64 * tile +
// j.
inline std::uint64_t visible_word(std::int64_t end, std::int64_t tile) noexcept {
  return low_bits(end - tile * kTileKeys);
}

// The 64-bit words of a bitmap that has a bit per tile.
inline std::int64_t words_for(std::int64_t tiles) noexcept { return (tiles + 63) / 64; }

// The visible bits of one tile row: of `rows` queries from first_query on. Refers to the
// visibility, which must outlive it. In every word, bit j of tile t is key 64 * t + j.
class VisibleWords {
 public:
  VisibleWords(const Visibility& visibility, std::int64_t first_query, int rows) noexcept
      : ends_(visibility.ends().data() + first_query), rows_(rows) {
    const auto [least, most] = std::minmax_element(ends_, ends_ + rows);
    least_end_ = *least;
    most_end_ = *most;
  }

  // The tiles with a visible entry are [0, tile_end()).
  std::int64_t tile_end() const noexcept { return (most_end_ + kTileKeys - 1) / kTileKeys; }
  // Whether every row sees every key of the tile.
  bool sees_all(std::int64_t tile) const noexcept { return (tile + 1) * kTileKeys <= least_end_; }
  // The visible bits of one row in a tile.
  std::uint64_t word(int row, std::int64_t tile) const noexcept {
    return visible_word(ends_[row], tile);
  }
  // Writes the visible bits of every row in a tile to words[rows].
  void fill(std::int64_t tile, std::uint64_t* words) const noexcept {
    if (sees_all(tile)) {
      std::fill_n(words, rows_, ~std::uint64_t{0});
    } else {
      for (int row = 0; row < rows_; ++row) words[row] = word(row, tile);
    }
  }
  // The visible bits of every row in a tile, [rows]. They are written to `buffer` unless all bits
  // are visible; then the result points to a constant instead.
  const std::uint64_t* words(std::int64_t tile, TileWords& buffer) const noexcept {
    if (sees_all(tile)) return kAllOnes.data();
    fill(tile, buffer.data());
    return buffer.data();
  }
  // The visible bits of the first row in the 64 tiles from first_tile on, [64]: in `buffer` or a
  // constant, as words() gives them.
  const std::uint64_t* row_words(std::int64_t first_tile, TileWords& buffer) const noexcept {
    if (sees_all(first_tile + 63)) return kAllOnes.data();
    for (std::size_t t = 0; t < buffer.size(); ++t) {
      buffer[t] = word(0, first_tile + static_cast<std::int64_t>(t));
    }
    return buffer.data();
  }
  // Whether words[rows] are all the visible bits of the tile. Requires that they hold no other
  // bits.
  bool are_all(std::int64_t tile, const std::uint64_t* words) const noexcept {
    std::uint64_t missing = 0;
    if (sees_all(tile)) {
      for (int row = 0; row < rows_; ++row) missing |= ~words[row];
    } else {
      for (int row = 0; row < rows_; ++row) missing |= words[row] ^ word(row, tile);
    }
    return missing == 0;
  }

 private:
  const std::int64_t* ends_;
  int rows_;
  std::int64_t least_end_;
  std::int64_t most_end_;
};

}  // namespace maskerade::detail
