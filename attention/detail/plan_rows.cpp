#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <limits>

#include "attention/detail/piece.hpp"

namespace maskerade::detail {
namespace {

constexpr std::int64_t kBlockKeys = 64;

// The active keys of a piece's queries, as words of the tiles that hold any: [tile][layer][query].
class ActiveWords {
 public:
  ActiveWords(const Mask& mask, const Piece& piece)
      : mask_(mask, piece), rows_(static_cast<std::int64_t>(mask_.layers()) * mask_.queries()) {
    const std::vector<std::uint64_t> touched = mask_.touched_tiles();
    for (std::size_t w = 0; w < touched.size(); ++w) {
      for (std::uint64_t left = touched[w]; left != 0; left &= left - 1) {
        tiles_.push_back(static_cast<std::int32_t>(w) * 64 + std::countr_zero(left));
      }
    }
    words_.resize(tiles_.size() * static_cast<std::size_t>(rows_));
    for (std::size_t layer = 0; layer < mask_.layers(); ++layer) add_layer(layer);
  }

  const PieceMask& mask() const { return mask_; }
  std::size_t tile_count() const { return tiles_.size(); }
  std::int64_t first_key(std::size_t t) const { return std::int64_t{tiles_[t]} * kTileKeys; }
  // [queries]
  const std::uint64_t* words(std::size_t t, std::size_t layer) const {
    return words_.data() + static_cast<std::int64_t>(t) * rows_ +
           static_cast<std::int64_t>(layer) * mask_.queries();
  }

  // The words of all layers united: [tile][query].
  std::vector<std::uint64_t> unite_layers() const {
    if (mask_.layers() == 1) return words_;
    const std::int64_t queries = mask_.queries();
    std::vector<std::uint64_t> united(tiles_.size() * static_cast<std::size_t>(queries));
    std::uint64_t* target = united.data();
    for (std::size_t t = 0; t < tiles_.size(); ++t, target += queries) {
      for (std::size_t layer = 0; layer < mask_.layers(); ++layer) {
        const std::uint64_t* source = words(t, layer);
        for (std::int64_t q = 0; q < queries; ++q) target[q] |= source[q];
      }
    }
    return united;
  }

 private:
  void add_layer(std::size_t layer) {
    const std::int64_t queries = mask_.queries();
    std::uint64_t* const begin = words_.data() + static_cast<std::int64_t>(layer) * mask_.queries();
    std::size_t t = 0;
    mask_.view(layer).for_each_tile([&](std::int64_t tile, const std::uint64_t* words) {
      while (tiles_[t] < tile) ++t;
      std::uint64_t* target = begin + static_cast<std::int64_t>(t) * rows_;
      for (std::int64_t q = 0; q < queries; ++q) {
        target[q] = words != nullptr ? words[q] : mask_.visible_word(q, tile);
      }
    });
    if (!mask_.has_sampled()) return;
    for (std::int64_t q = 0; q < queries; ++q) {
      t = 0;
      for (const std::int32_t key : mask_.sampled(layer, q).keys) {
        while (tiles_[t] < key / kTileKeys) ++t;
        begin[static_cast<std::int64_t>(t) * rows_ + q] |= std::uint64_t{1} << (key % kTileKeys);
      }
    }
  }

  PieceMask mask_;
  std::int64_t rows_;  // layers x queries
  std::vector<std::int32_t> tiles_;
  std::vector<std::uint64_t> words_;
};

struct Grouping {
  std::int64_t queries = 1;  // of a row block
  double ns = std::numeric_limits<double>::infinity();
};

// More queries in a row block share fetched keys, but compute on the union of their keys.
Grouping choose_grouping(const ActiveWords& active, std::int64_t heads, const Choice& choice) {
  std::vector<std::uint64_t> unions = active.unite_layers();  // [tile][group]
  const auto tiles = static_cast<std::int64_t>(active.tile_count());
  std::int64_t groups = active.mask().queries();
  Grouping best;
  for (std::int64_t size = 1; size * heads <= kMaxRows; size *= 2) {
    // A row block has the mean of their keys: costs are linear in keys.
    const std::int64_t keys = count_bits(unions.data(), tiles * groups);
    const double fixed_ns = choice.block_ns({.rows = size * heads});
    const double all_ns = choice.block_ns(
        {.rows = size * heads, .keys = keys, .gathered_keys = keys, .masked_keys = keys});
    const double ns = all_ns + static_cast<double>(groups - 1) * fixed_ns;
    if (ns < best.ns) best = {size, ns};
    if (groups == 1) break;
    const std::int64_t pairs = (groups + 1) / 2;
    const std::uint64_t* source = unions.data();
    std::uint64_t* target = unions.data();
    for (std::int64_t t = 0; t < tiles; ++t, source += groups, target += pairs) {
      for (std::int64_t g = 0; g < groups / 2; ++g) target[g] = source[2 * g] | source[2 * g + 1];
      if (groups % 2 != 0) target[pairs - 1] = source[groups - 1];
    }
    groups = pairs;
  }
  return best;
}

// Makes row blocks of a piece's active keys.
class RowBlocks {
 public:
  RowBlocks(const ActiveWords& active, const Piece& piece, Part& part)
      : active_(active), mask_(active.mask()), piece_(piece), part_(part) {}

  // Appends the row block of queries [first, first + queries) of the piece.
  void add(std::int64_t first, std::int64_t queries) {
    first_ = first;
    queries_ = queries;
    rows_ = piece_.heads * queries;
    list_keys();
    set_bits();
    RowBlock rows{.first_head = piece_.first_head,
                  .first_query = mask_.first_query() + first,
                  .heads = static_cast<std::int32_t>(piece_.heads),
                  .queries = static_cast<std::int32_t>(queries),
                  .blocks_begin = static_cast<std::int64_t>(part_.key_blocks.size()),
                  .kernel = Kernel::kRows};
    sampled_done_.assign(mask_.has_sampled() ? static_cast<std::size_t>(rows_) : 0, 0);
    const auto keys = static_cast<std::int64_t>(listed_.size());
    for (std::int64_t at = 0; at < keys; at += kBlockKeys) {
      add_key_block(at, std::min(kBlockKeys, keys - at));
    }
    rows.blocks_end = static_cast<std::int64_t>(part_.key_blocks.size());
    part_.row_blocks.push_back(rows);
  }

 private:
  // The keys of all rows, ascending, and each tile's united word.
  void list_keys() {
    unions_.resize(active_.tile_count());
    for (std::size_t t = 0; t < unions_.size(); ++t) {
      std::uint64_t word = 0;
      for (std::size_t layer = 0; layer < mask_.layers(); ++layer) {
        const std::uint64_t* words = active_.words(t, layer) + first_;
        for (std::int64_t q = 0; q < queries_; ++q) word |= words[q];
      }
      unions_[t] = word;
    }
    listed_.resize(static_cast<std::size_t>(
        count_bits(unions_.data(), static_cast<std::int64_t>(unions_.size()))));
    std::int32_t* next = listed_.data();
    for (std::size_t t = 0; t < unions_.size(); ++t) {
      const auto first_key = static_cast<std::int32_t>(active_.first_key(t));
      for (std::uint64_t left = unions_[t]; left != 0; left &= left - 1) {
        *next++ = first_key + std::countr_zero(left);
      }
    }
  }

  // Each row's words over the listed keys, 64 a word: [key block][row].
  void set_bits() {
    const std::size_t blocks = (listed_.size() + kBlockKeys - 1) / kBlockKeys;
    words_.assign(blocks * static_cast<std::size_t>(rows_), 0);
    std::array<std::int32_t, kTileKeys> places;  // in listed_, of a tile's columns
    std::int32_t begin = 0;
    for (std::size_t t = 0; t < unions_.size(); ++t) {
      if (unions_[t] == 0) continue;
      std::int32_t end = begin;
      for (std::uint64_t left = unions_[t]; left != 0; left &= left - 1) {
        places[static_cast<std::size_t>(std::countr_zero(left))] = end++;
      }
      for (std::size_t layer = 0; layer < mask_.layers(); ++layer) {
        const std::uint64_t* words = active_.words(t, layer) + first_;
        std::uint64_t* const rows = words_.data() + static_cast<std::int64_t>(layer) * queries_;
        for (std::int64_t q = 0; q < queries_; ++q) {
          if (words[q] == unions_[t]) {
            set_run(rows + q, begin, end);
            continue;
          }
          for (std::uint64_t left = words[q]; left != 0; left &= left - 1) {
            const std::int32_t place = places[static_cast<std::size_t>(std::countr_zero(left))];
            rows[place / kBlockKeys * rows_ + q] |= std::uint64_t{1} << (place % kBlockKeys);
          }
        }
      }
      begin = end;
    }
    if (mask_.layers() == 1) repeat_first_head(blocks);
  }

  // Sets a row's columns [begin, end), at most 64.
  void set_run(std::uint64_t* row, std::int64_t begin, std::int64_t end) const {
    const std::int64_t block = begin / kBlockKeys;
    const std::uint64_t run = low_bits(end - begin);
    row[block * rows_] |= run << (begin % kBlockKeys);
    if (end > (block + 1) * kBlockKeys) {
      row[(block + 1) * rows_] |= run >> (kBlockKeys - begin % kBlockKeys);
    }
  }

  void repeat_first_head(std::size_t blocks) {
    for (std::size_t block = 0; block < blocks; ++block) {
      std::uint64_t* const first = words_.data() + block * static_cast<std::size_t>(rows_);
      for (std::int64_t h = 1; h < piece_.heads; ++h) {
        std::copy_n(first, queries_, first + h * queries_);
      }
    }
  }

  // The key block of listed keys [at, at + count).
  void add_key_block(std::int64_t at, std::int64_t count) {
    const std::int32_t* const keys = listed_.data() + at;
    KeyBlock block;
    block.count = static_cast<std::int32_t>(count);
    block.samples_begin = static_cast<std::int64_t>(part_.samples.size());
    add_samples({keys, static_cast<std::size_t>(count)});
    block.samples_end = static_cast<std::int64_t>(part_.samples.size());
    part_.add_bits(block,
                   std::span(words_).subspan(static_cast<std::size_t>(at / kBlockKeys * rows_),
                                             static_cast<std::size_t>(rows_)));
    if (keys[count - 1] - keys[0] == count - 1) {
      block.first_key = keys[0];
    } else {
      block.list_offset = static_cast<std::int64_t>(part_.key_list.size());
      part_.key_list.insert(part_.key_list.end(), keys, keys + count);
    }
    part_.key_blocks.push_back(block);
  }

  void add_samples(std::span<const std::int32_t> keys) {
    for (std::size_t row = 0; row < sampled_done_.size(); ++row) {
      const auto r = static_cast<std::int64_t>(row);
      const SampledEntries sampled =
          mask_.sampled(mask_.layer_of(r / queries_), first_ + r % queries_);
      std::size_t& s = sampled_done_[row];
      for (; s < sampled.keys.size() && sampled.keys[s] <= keys.back(); ++s) {
        const auto column = std::lower_bound(keys.begin(), keys.end(), sampled.keys[s]);
        part_.samples.push_back({static_cast<std::int16_t>(row),
                                 static_cast<std::int16_t>(column - keys.begin()),
                                 std::log(sampled.probabilities[s])});
      }
    }
  }

  const ActiveWords& active_;
  const PieceMask& mask_;
  const Piece& piece_;
  Part& part_;
  // Of the row block in the making:
  std::int64_t first_ = 0;
  std::int64_t queries_ = 1;
  std::int64_t rows_ = 1;
  std::vector<std::uint64_t> unions_;  // by tile
  std::vector<std::int32_t> listed_;
  std::vector<std::uint64_t> words_;
  std::vector<std::size_t> sampled_done_;  // by row: sampled entries already planned
};

}  // namespace

RowsPlan::RowsPlan(const Mask& mask, const Piece& piece, const Choice& choice) : mask_(mask) {
  pieces_ = {piece};
  const Grouping stacked = choose_grouping(ActiveWords(mask, piece), piece.heads, choice);
  queries_ = {stacked.queries};
  ns_ = stacked.ns;
  if (piece.is_shared || piece.heads == 1) return;
  std::vector<Piece> heads;
  std::vector<std::int64_t> queries;
  double ns = 0;
  for (std::int64_t h = 0; h < piece.heads && ns < ns_; ++h) {
    heads.push_back(piece.heads_from(h, 1));
    const Grouping alone = choose_grouping(ActiveWords(mask, heads.back()), 1, choice);
    queries.push_back(alone.queries);
    ns += alone.ns;
  }
  if (ns >= ns_) return;
  pieces_ = std::move(heads);
  queries_ = std::move(queries);
  ns_ = ns;
}

void RowsPlan::append_to(Part& part) const {
  for (std::size_t i = 0; i < pieces_.size(); ++i) {
    const ActiveWords active(mask_, pieces_[i]);
    RowBlocks row_blocks(active, pieces_[i], part);
    for (std::int64_t q = 0; q < active.mask().queries(); q += queries_[i]) {
      row_blocks.add(q, std::min(queries_[i], active.mask().queries() - q));
    }
  }
}

}  // namespace maskerade::detail
