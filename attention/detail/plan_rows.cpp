#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <utility>

#include "attention/detail/piece.hpp"

namespace maskerade::detail {
namespace {

constexpr std::int64_t kBlockKeys = 64;
// Fetching one scattered key and value costs about what this many rows of arithmetic on it cost.
constexpr std::int64_t kFetchRows = 10;

// The bits of `word` at the set bits of `selector`, packed together from bit 0 on.
std::uint64_t extract_bits(std::uint64_t word, std::uint64_t selector) {
  if ((word & selector) == selector) return low_bits(std::popcount(selector));
  if (selector == ~std::uint64_t{0}) return word;
  std::uint64_t packed = 0;
  for (std::uint64_t left = word & selector; left != 0; left &= left - 1) {
    const std::uint64_t below = (left & -left) - 1;
    packed |= std::uint64_t{1} << std::popcount(selector & below);
  }
  return packed;
}

// The active keys of a piece's queries as bitmaps, and row blocks made of them.
class RowLists {
 public:
  RowLists(const PieceMask& mask, const Piece& piece)
      : mask_(mask),
        piece_(piece),
        tiles_(static_cast<std::size_t>(mask.tile_count())),
        active_(mask.layers() * static_cast<std::size_t>(mask.queries()) * tiles_) {
    for (std::size_t layer = 0; layer < mask.layers(); ++layer) {
      mask.view(layer).for_each_tile([&](std::int64_t tile, const std::uint64_t* words) {
        for (std::int64_t q = 0; q < mask_.queries(); ++q) {
          active(layer, q)[tile] = words != nullptr ? words[q] : mask_.visible_word(q, tile);
        }
      });
      if (!mask.has_sampled()) continue;
      for (std::int64_t q = 0; q < mask.queries(); ++q) {
        for (const std::int32_t key : mask.sampled(layer, q).keys) {
          active(layer, q)[key / kTileKeys] |= std::uint64_t{1} << (key % kTileKeys);
        }
      }
    }
  }

  // The number of queries to take into one row block: more share fetched keys, but compute on the
  // union of their keys.
  std::int64_t choose_queries() const {
    std::vector<std::uint64_t> unions;
    for (std::int64_t q = 0; q < mask_.queries(); ++q) append_union(q, 1, unions);
    std::int64_t best = 1;
    std::int64_t best_cost = -1;
    auto groups = static_cast<std::size_t>(mask_.queries());
    for (std::int64_t size = 1; size * piece_.heads <= kMaxRows; size *= 2) {
      std::int64_t keys = 0;
      for (const std::uint64_t word : unions) keys += std::popcount(word);
      const std::int64_t cost = keys * (kFetchRows + size * piece_.heads);
      if (best_cost < 0 || cost < best_cost) {
        best = size;
        best_cost = cost;
      }
      if (groups == 1) break;
      for (std::size_t g = 0; g < groups; g += 2) {
        for (std::size_t t = 0; t < tiles_; ++t) {
          const std::uint64_t second = g + 1 < groups ? unions[(g + 1) * tiles_ + t] : 0;
          unions[g / 2 * tiles_ + t] = unions[g * tiles_ + t] | second;
        }
      }
      groups = (groups + 1) / 2;
      unions.resize(groups * tiles_);
    }
    return best;
  }

  // Appends the row block of queries [first, first + queries) of the piece.
  void add_row_block(std::int64_t first, std::int64_t queries, Part& part) {
    RowBlock rows{.batch = piece_.batch,
                  .kv_head = piece_.kv_head,
                  .first_head = piece_.first_head,
                  .first_query = mask_.first_query() + first,
                  .heads = static_cast<std::int32_t>(piece_.heads),
                  .queries = static_cast<std::int32_t>(queries),
                  .blocks_begin = static_cast<std::int64_t>(part.key_blocks.size())};
    first_ = first;
    queries_ = queries;
    const auto row_count = static_cast<std::size_t>(piece_.heads * queries);
    words_.assign(row_count, 0);
    sampled_done_.assign(mask_.has_sampled() ? row_count : 0, 0);
    std::vector<std::uint64_t> keys;
    append_union(first, queries, keys);
    std::int32_t filled = 0;
    for (std::size_t tile = 0; tile < tiles_; ++tile) {
      // A tile's keys may fall on two key blocks.
      for (std::uint64_t left = keys[tile]; left != 0;) {
        std::uint64_t taken = left;
        while (std::popcount(taken) > kBlockKeys - filled) {
          taken &= ~std::bit_floor(taken);
        }
        left &= ~taken;
        for (std::size_t r = 0; r < row_count; ++r) {
          words_[r] |= extract_bits(row_active(r)[tile], taken) << filled;
        }
        for (std::uint64_t bits = taken; bits != 0; bits &= bits - 1) {
          listed_[static_cast<std::size_t>(filled++)] = static_cast<std::int32_t>(
              static_cast<int>(tile) * kTileKeys + std::countr_zero(bits));
        }
        if (filled == kBlockKeys) finish_block(std::exchange(filled, 0), part);
      }
    }
    if (filled > 0) finish_block(filled, part);
    rows.blocks_end = static_cast<std::int64_t>(part.key_blocks.size());
    part.row_blocks.push_back(rows);
  }

 private:
  std::uint64_t* active(std::size_t layer, std::int64_t query) {
    return active_.data() +
           (layer * static_cast<std::size_t>(mask_.queries()) + static_cast<std::size_t>(query)) *
               tiles_;
  }
  const std::uint64_t* active(std::size_t layer, std::int64_t query) const {
    return const_cast<RowLists*>(this)->active(layer, query);
  }
  // The active keys of row r of the row block in the making.
  const std::uint64_t* row_active(std::size_t r) const {
    const auto row = static_cast<std::int64_t>(r);
    return active(mask_.layer_of(row / queries_), first_ + row % queries_);
  }

  void append_union(std::int64_t first,
                    std::int64_t queries,
                    std::vector<std::uint64_t>& unions) const {
    const std::size_t begin = unions.size();
    unions.resize(begin + tiles_);
    for (std::size_t layer = 0; layer < mask_.layers(); ++layer) {
      for (std::int64_t q = first; q < first + queries; ++q) {
        const std::uint64_t* words = active(layer, q);
        for (std::size_t t = 0; t < tiles_; ++t) unions[begin + t] |= words[t];
      }
    }
  }

  void finish_block(std::int32_t count, Part& part) {
    KeyBlock block;
    block.count = count;
    block.samples_begin = static_cast<std::int64_t>(part.samples.size());
    add_samples(count, part);
    block.samples_end = static_cast<std::int64_t>(part.samples.size());
    part.add_bits(block, words_);
    const std::int32_t last = listed_[static_cast<std::size_t>(count - 1)];
    if (last - listed_[0] == count - 1) {
      block.first_key = listed_[0];
    } else {
      block.list_offset = static_cast<std::int64_t>(part.key_list.size());
      part.key_list.insert(part.key_list.end(), listed_.begin(), listed_.begin() + count);
    }
    part.key_blocks.push_back(block);
    std::fill(words_.begin(), words_.end(), 0);
  }

  void add_samples(std::int32_t count, Part& part) {
    const auto end = listed_.begin() + count;
    for (std::size_t row = 0; row < sampled_done_.size(); ++row) {
      const auto r = static_cast<std::int64_t>(row);
      const SampledEntries sampled =
          mask_.sampled(mask_.layer_of(r / queries_), first_ + r % queries_);
      std::size_t& s = sampled_done_[row];
      for (; s < sampled.keys.size() && sampled.keys[s] <= *(end - 1); ++s) {
        const auto column = std::lower_bound(listed_.begin(), end, sampled.keys[s]);
        part.samples.push_back({static_cast<std::int16_t>(row),
                                static_cast<std::int16_t>(column - listed_.begin()),
                                std::log(sampled.probabilities[s])});
      }
    }
  }

  const PieceMask& mask_;
  const Piece& piece_;
  std::size_t tiles_;
  std::vector<std::uint64_t> active_;  // [layers][queries][tiles]
  // Of the row block and key block in the making:
  std::int64_t first_ = 0;
  std::int64_t queries_ = 1;
  std::array<std::int32_t, kBlockKeys> listed_{};
  std::vector<std::uint64_t> words_;
  std::vector<std::size_t> sampled_done_;
};

}  // namespace

void plan_rows(const Mask& mask, const AttentionShape& shape, const Piece& piece, Part& part) {
  const PieceMask piece_mask(mask, shape, piece);
  RowLists lists(piece_mask, piece);
  const std::int64_t queries = lists.choose_queries();
  for (std::int64_t q = 0; q < piece_mask.queries(); q += queries) {
    lists.add_row_block(q, std::min(queries, piece_mask.queries() - q), part);
  }
}

}  // namespace maskerade::detail
