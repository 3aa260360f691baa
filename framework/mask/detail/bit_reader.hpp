#pragma once

#include <bit>
#include <cstdint>
#include <vector>

#include "framework/mask/mask.hpp"

namespace maskerade::detail {

// Tells whether a key's bit is set, in any order of rows and keys, for the tile row that it was
// started with. The tile row's mask must outlive this use. One reader serves many tile rows, one
// after the other, so that its memory is reused.
class BitReader {
 public:
  void start(const TileRowView& view) {
    view_ = view;
    ranks_.resize(view.any.size());
    std::int64_t rank = 0;
    std::uint64_t any = 0;
    for (std::size_t w = 0; w < view.any.size(); ++w) {
      ranks_[w] = rank;
      rank += std::popcount(view.any[w] & ~view.full[w]);
      any |= view.any[w];
    }
    has_any_ = any != 0;
  }

  // Whether the tile row has a bit that is set.
  bool has_any() const noexcept { return has_any_; }
  // Whether the bit of `key` is set in row `row` of the tile row. The key must be visible to the
  // row: a full tile counts every key as set.
  bool has(int row, std::int64_t key) const noexcept {
    const std::int64_t tile = key / kTileKeys;
    const auto w = static_cast<std::size_t>(tile / 64);
    const std::uint64_t tile_bit = std::uint64_t{1} << (tile % 64);
    if ((view_.any[w] & tile_bit) == 0) return false;
    if ((view_.full[w] & tile_bit) != 0) return true;
    const std::int64_t rank =
        ranks_[w] + std::popcount(view_.any[w] & ~view_.full[w] & (tile_bit - 1));
    return ((view_.partial[rank * view_.rows + row] >> (key % kTileKeys)) & 1U) != 0;
  }

 private:
  TileRowView view_;
  bool has_any_ = false;
  std::vector<std::int64_t> ranks_;  // [words of a bitmap] partial tiles before the word's tiles
};

}  // namespace maskerade::detail
