#include "framework/mask/tile_row_builder.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <bit>

#include "framework/base/error.hpp"
#include "framework/mask/detail/probability.hpp"
#include "framework/mask/detail/visible_words.hpp"

namespace maskerade {
namespace {

bool by_key(const SampledEntry& a, const SampledEntry& b) noexcept { return a.key < b.key; }

// Bit index % 64 alone: that of a tile or key in its word.
std::uint64_t bit_of(std::int64_t index) noexcept { return std::uint64_t{1} << (index % 64); }

// Calls visit(i) for every set bit i of a bitmap of 64-bit words, ascending.
template <typename Visit>
void for_each_bit(const std::vector<std::uint64_t>& words, Visit&& visit) {
  for (std::size_t w = 0; w < words.size(); ++w) {
    for (std::uint64_t left = words[w]; left != 0; left &= left - 1) {
      visit(static_cast<std::int64_t>(w) * 64 + std::countr_zero(left));
    }
  }
}

}  // namespace

TileRowBuilder::TileRowBuilder(const Visibility& visibility)
    : visibility_(visibility),
      any_((static_cast<std::size_t>(visibility.key_len()) + kTileKeys * 64 - 1) /
           (kTileKeys * 64)),
      ones_(static_cast<std::size_t>((visibility.key_len() + kTileKeys - 1) / kTileKeys)),
      slots_(ones_.size()),
      sampled_(static_cast<std::size_t>(kTileRows)) {
  start(0);
}

void TileRowBuilder::start(std::int64_t tile_row) {
  for_each_bit(any_, [&](std::int64_t tile) {
    ones_[static_cast<std::size_t>(tile)] = 0;
    slots_[static_cast<std::size_t>(tile)] = 0;
  });
  std::fill(any_.begin(), any_.end(), 0);
  words_.clear();
  for (std::uint64_t left = has_sampled_; left != 0; left &= left - 1) {
    sampled_[static_cast<std::size_t>(std::countr_zero(left))].clear();
  }
  has_sampled_ = 0;
  unsettled_ = 0;
  first_query_ = tile_row * kTileRows;
  rows_ = static_cast<int>(std::min(kTileRows, visibility_.query_len() - first_query_));
  all_rows_ = detail::low_bits(rows_);
}

void TileRowBuilder::start(std::int64_t tile_row,
                           const Mask& previous,
                           std::int64_t b,
                           std::int64_t h) {
  if (previous.query_len() != visibility_.query_len() ||
      previous.key_len() != visibility_.key_len()) {
    throw ShapeError(fmt::format(
        "the previous mask is over {} queries and {} keys; it must be over {} and {}",
        previous.query_len(), previous.key_len(), visibility_.query_len(), visibility_.key_len()));
  }
  start(tile_row);
  const TileRowView view = previous.tile_row(b, h, tile_row);
  const detail::VisibleWords visible(visibility_, first_query_, rows_);
  view.for_each_tile([&](std::int64_t tile, const std::uint64_t* words) {
    if (words == nullptr && visible.sees_all(tile)) {
      any_[static_cast<std::size_t>(tile / 64)] |= bit_of(tile);
      ones_[static_cast<std::size_t>(tile)] = all_rows_;
    } else if (words == nullptr) {
      visible.fill(tile, touch(tile));
    } else {
      std::copy_n(words, rows_, touch(tile));
    }
  });
  if (!previous.has_sampled()) return;
  for (int row = 0; row < rows_; ++row) {
    const SampledEntries entries = previous.sampled(b, h, first_query_ + row);
    if (entries.keys.empty()) continue;
    has_sampled_ |= bit_of(row);
    std::vector<SampledEntry>& target = sampled_[static_cast<std::size_t>(row)];
    target.reserve(entries.keys.size());
    for (std::size_t i = 0; i < entries.keys.size(); ++i) {
      target.push_back({entries.keys[i], entries.probabilities[i]});
    }
  }
}

std::int64_t TileRowBuilder::visible_end(int row) const noexcept {
  return visibility_.end(first_query_ + row);
}

std::uint64_t* TileRowBuilder::touch(std::int64_t tile) {
  std::int32_t& slot = slots_[static_cast<std::size_t>(tile)];
  if (slot == 0) {
    any_[static_cast<std::size_t>(tile / 64)] |= bit_of(tile);
    words_.resize(words_.size() + static_cast<std::size_t>(rows_));
    slot = static_cast<std::int32_t>(words_.size() / static_cast<std::size_t>(rows_));
  }
  return words_.data() + static_cast<std::int64_t>(slot - 1) * rows_;
}

void TileRowBuilder::read_words(std::int64_t tile, std::uint64_t* words) const noexcept {
  const std::int32_t slot = slots_[static_cast<std::size_t>(tile)];
  if (slot == 0) {
    std::fill_n(words, rows_, 0);
  } else {
    std::copy_n(words_.data() + static_cast<std::int64_t>(slot - 1) * rows_, rows_, words);
  }
  const std::uint64_t ones = ones_[static_cast<std::size_t>(tile)];
  if (ones == 0) return;
  for (int row = 0; row < rows_; ++row) words[row] |= 0 - ((ones >> row) & 1U);
}

bool TileRowBuilder::has_bit(int row, std::int64_t key) const noexcept {
  return (word(row, key / kTileKeys) & bit_of(key)) != 0;
}

void TileRowBuilder::add_visible(int row, std::int64_t tile, std::uint64_t bits) {
  if (bits == ~std::uint64_t{0}) {
    any_[static_cast<std::size_t>(tile / 64)] |= bit_of(tile);
    ones_[static_cast<std::size_t>(tile)] |= bit_of(row);
  } else {
    touch(tile)[row] |= bits;
  }
}

void TileRowBuilder::add_tiles(std::uint64_t row_bits, std::int64_t first, std::int64_t last) {
  for (std::int64_t w = first / 64; w * 64 < last; ++w) {
    any_[static_cast<std::size_t>(w)] |=
        detail::low_bits(last - w * 64) & ~detail::low_bits(first - w * 64);
  }
  std::uint64_t* ones = ones_.data();
  for (std::int64_t tile = first; tile < last; ++tile) ones[tile] |= row_bits;
}

void TileRowBuilder::add_range(int row, std::int64_t key_begin, std::int64_t key_end) {
  const std::int64_t begin = std::max<std::int64_t>(key_begin, 0);
  const std::int64_t end = std::min(key_end, visible_end(row));
  if (begin >= end) return;
  unsettled_ |= has_sampled_ & bit_of(row);
  const std::int64_t first = begin / kTileKeys;
  const std::int64_t last = (end - 1) / kTileKeys;
  const std::uint64_t first_bits = ~std::uint64_t{0} << (begin % kTileKeys);
  const std::uint64_t last_bits = detail::visible_word(end, last);
  if (first == last) {
    add_visible(row, first, first_bits & last_bits);
    return;
  }
  add_visible(row, first, first_bits);
  add_visible(row, last, last_bits);
  if (first + 1 < last) add_tiles(bit_of(row), first + 1, last);
}

void TileRowBuilder::add_range(int row_begin,
                               int row_end,
                               std::int64_t key_begin,
                               std::int64_t key_end) {
  if (row_begin >= row_end) return;
  const auto ends = visibility_.ends().begin() + first_query_;
  const std::int64_t least_end = *std::min_element(ends + row_begin, ends + row_end);
  // Tiles [first, last) lie wholly in the range, and every row sees all their keys.
  const std::int64_t begin = std::clamp<std::int64_t>(key_begin, 0, visibility_.key_len());
  const std::int64_t first = (begin + kTileKeys - 1) / kTileKeys;
  const std::int64_t last = std::min(key_end, least_end) / kTileKeys;
  if (first >= last) {
    for (int row = row_begin; row < row_end; ++row) add_range(row, key_begin, key_end);
    return;
  }
  const std::uint64_t row_bits = detail::low_bits(row_end - row_begin) << row_begin;
  unsettled_ |= has_sampled_ & row_bits;
  add_tiles(row_bits, first, last);
  const bool is_open_left = begin < first * kTileKeys;
  const bool is_open_right = last * kTileKeys < key_end;
  for (int row = row_begin; (is_open_left || is_open_right) && row < row_end; ++row) {
    add_range(row, begin, first * kTileKeys);
    add_range(row, last * kTileKeys, key_end);
  }
}

void TileRowBuilder::add_key(int row, std::int64_t key, float probability) {
  if (key >= visible_end(row)) return;
  if (probability >= 1.0F) {
    unsettled_ |= has_sampled_ & bit_of(row);
    touch(key / kTileKeys)[row] |= bit_of(key);
    return;
  }
  if (has_bit(row, key)) return;
  std::vector<SampledEntry>& entries = sampled_[static_cast<std::size_t>(row)];
  if (!entries.empty() && entries.back().key >= key) unsettled_ |= bit_of(row);
  entries.push_back({static_cast<std::int32_t>(key), probability});
  has_sampled_ |= bit_of(row);
}

void TileRowBuilder::add_word(int row, std::int64_t tile, std::uint64_t bits) {
  const std::uint64_t visible_bits = bits & detail::visible_word(visible_end(row), tile);
  if (visible_bits == 0) return;
  unsettled_ |= has_sampled_ & bit_of(row);
  add_visible(row, tile, visible_bits);
}

void TileRowBuilder::settle(int row) const {
  if ((unsettled_ & bit_of(row)) == 0) return;
  unsettled_ &= ~bit_of(row);
  std::vector<SampledEntry>& entries = sampled_[static_cast<std::size_t>(row)];
  // Entries of one key stay in the order in which they were added, since how their united
  // probability is rounded depends on it.
  const auto unsorted = std::is_sorted_until(entries.begin(), entries.end(), by_key);
  std::stable_sort(unsorted, entries.end(), by_key);
  std::inplace_merge(entries.begin(), unsorted, entries.end(), by_key);
  std::size_t kept = 0;
  for (const SampledEntry& entry : entries) {
    if (has_bit(row, entry.key)) continue;
    if (kept > 0 && entries[kept - 1].key == entry.key) {
      float& probability = entries[kept - 1].probability;
      probability = detail::united_probability(probability, entry.probability);
    } else {
      entries[kept++] = entry;
    }
  }
  entries.resize(kept);
}

std::uint64_t TileRowBuilder::word(int row, std::int64_t tile) const noexcept {
  const auto index = static_cast<std::size_t>(tile);
  if ((ones_[index] & bit_of(row)) != 0) return ~std::uint64_t{0};
  const std::int32_t slot = slots_[index];
  return slot == 0 ? 0 : words_[static_cast<std::size_t>((slot - 1) * std::int64_t{rows_} + row)];
}

std::uint64_t TileRowBuilder::support_word(int row, std::int64_t tile) const {
  std::uint64_t bits = word(row, tile);
  const std::span<const SampledEntry> entries = sampled(row);
  if (entries.empty()) return bits;
  const SampledEntry first{static_cast<std::int32_t>(tile * kTileKeys), 0.0F};
  for (auto entry = std::lower_bound(entries.begin(), entries.end(), first, by_key);
       entry != entries.end() && entry->key < (tile + 1) * kTileKeys; ++entry) {
    bits |= bit_of(entry->key);
  }
  return bits;
}

bool TileRowBuilder::is_active(int row, std::int64_t key) const {
  if (has_bit(row, key)) return true;
  const std::span<const SampledEntry> entries = sampled(row);
  return std::binary_search(entries.begin(), entries.end(),
                            SampledEntry{static_cast<std::int32_t>(key), 0.0F}, by_key);
}

std::int64_t TileRowBuilder::active_count(int row) const {
  auto count = static_cast<std::int64_t>(sampled(row).size());
  for_each_bit(any_, [&](std::int64_t tile) { count += std::popcount(word(row, tile)); });
  return count;
}

std::span<const SampledEntry> TileRowBuilder::sampled(int row) const {
  settle(row);
  return sampled_[static_cast<std::size_t>(row)];
}

TileRow TileRowBuilder::finish() const {
  TileRow tile_row;
  tile_row.any = any_;
  tile_row.full.resize(any_.size());
  const detail::VisibleWords visible(visibility_, first_query_, rows_);
  detail::TileWords words;
  std::size_t partial_tiles = 0;
  for_each_bit(any_, [&](std::int64_t tile) {
    bool is_full = ones_[static_cast<std::size_t>(tile)] == all_rows_;
    if (!is_full) {
      read_words(tile, words.data());
      is_full = visible.are_all(tile, words.data());
    }
    if (is_full) {
      tile_row.full[static_cast<std::size_t>(tile / 64)] |= bit_of(tile);
    } else {
      ++partial_tiles;
    }
  });
  tile_row.partial.reserve(partial_tiles * static_cast<std::size_t>(rows_));
  for_each_bit(any_, [&](std::int64_t tile) {
    if ((tile_row.full[static_cast<std::size_t>(tile / 64)] & bit_of(tile)) != 0) return;
    read_words(tile, words.data());
    tile_row.partial.insert(tile_row.partial.end(), words.begin(), words.begin() + rows_);
  });

  std::size_t sampled_total = 0;
  for (std::uint64_t left = has_sampled_; left != 0; left &= left - 1) {
    sampled_total += sampled(std::countr_zero(left)).size();
  }
  if (sampled_total == 0) return tile_row;
  tile_row.sampled_counts.reserve(static_cast<std::size_t>(rows_));
  tile_row.sampled_keys.reserve(sampled_total);
  tile_row.sampled_probabilities.reserve(sampled_total);
  for (int row = 0; row < rows_; ++row) {
    const std::span<const SampledEntry> entries = sampled(row);
    tile_row.sampled_counts.push_back(static_cast<std::int64_t>(entries.size()));
    for (const auto& [key, probability] : entries) {
      tile_row.sampled_keys.push_back(key);
      tile_row.sampled_probabilities.push_back(probability);
    }
  }
  return tile_row;
}

}  // namespace maskerade
