#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <limits>
#include <utility>

#include "attention/cpu/detail/piece.hpp"

namespace maskerade::detail {
namespace {

constexpr std::int64_t kBlockKeys = 64;
// Nanoseconds of planning: each word of a touched tile's row, and each run of active entries.
constexpr double kWordNs = 16;
constexpr double kRunNs = 5;

}  // namespace

// The active keys of a piece's queries, as words of the tiles that hold any: [tile][mask
// head][query].
class RowsPlan::ActiveWords {
 public:
  struct MaskHeads {
    std::size_t begin = 0;
    std::size_t end = 0;
  };

  ActiveWords(const Mask& mask, const Piece& piece)
      : mask_(mask, piece), rows_(static_cast<std::int64_t>(mask_.view_count()) * mask_.queries()) {
    const std::vector<std::uint64_t> touched = mask_.touched_tiles();
    for (std::size_t w = 0; w < touched.size(); ++w) {
      for (std::uint64_t left = touched[w]; left != 0; left &= left - 1) {
        tiles_.push_back(static_cast<std::int32_t>(w) * 64 + std::countr_zero(left));
      }
    }
    words_.resize(tiles_.size() * static_cast<std::size_t>(rows_));
    for (std::size_t i = 0; i < mask_.view_count(); ++i) add_mask_head(i);
  }

  const PieceMask& mask() const { return mask_; }
  std::size_t tile_count() const { return tiles_.size(); }
  std::int64_t first_key(std::size_t t) const { return std::int64_t{tiles_[t]} * kTileKeys; }
  // [queries]
  const std::uint64_t* words(std::size_t t, std::size_t i) const {
    return words_.data() + static_cast<std::int64_t>(t) * rows_ +
           static_cast<std::int64_t>(i) * mask_.queries();
  }

  // The words of some mask_heads united: [tile][query].
  std::vector<std::uint64_t> unite(MaskHeads mask_heads) const {
    const std::int64_t queries = mask_.queries();
    std::vector<std::uint64_t> united(tiles_.size() * static_cast<std::size_t>(queries));
    std::uint64_t* target = united.data();
    for (std::size_t t = 0; t < tiles_.size(); ++t, target += queries) {
      for (std::size_t i = mask_heads.begin; i < mask_heads.end; ++i) {
        const std::uint64_t* source = words(t, i);
        for (std::int64_t q = 0; q < queries; ++q) target[q] |= source[q];
      }
    }
    return united;
  }

  // Nanoseconds of planning lists of these keys.
  double planning_ns() const {
    const auto words = static_cast<std::int64_t>(words_.size());
    return kWordNs * static_cast<double>(words) +
           kRunNs * static_cast<double>(count_runs(words_.data(), words));
  }

 private:
  void add_mask_head(std::size_t i) {
    const std::int64_t queries = mask_.queries();
    std::uint64_t* const begin = words_.data() + static_cast<std::int64_t>(i) * mask_.queries();
    std::size_t t = 0;
    mask_.view(i).for_each_tile([&](std::int64_t tile, const std::uint64_t* words) {
      while (tiles_[t] < tile) ++t;
      std::uint64_t* target = begin + static_cast<std::int64_t>(t) * rows_;
      for (std::int64_t q = 0; q < queries; ++q) {
        target[q] = words != nullptr ? words[q] : mask_.visible_word(q, tile);
      }
    });
    if (!mask_.has_sampled()) return;
    for (std::int64_t q = 0; q < queries; ++q) {
      t = 0;
      for (const std::int32_t key : mask_.sampled(i, q).keys) {
        while (tiles_[t] < key / kTileKeys) ++t;
        begin[static_cast<std::int64_t>(t) * rows_ + q] |= std::uint64_t{1} << (key % kTileKeys);
      }
    }
  }

  PieceMask mask_;
  std::int64_t rows_;  // mask_heads x queries
  std::vector<std::int32_t> tiles_;
  std::vector<std::uint64_t> words_;
};

namespace {

// Words of pairs of groups united: [tile][groups] -> [tile][(groups + 1) / 2].
void unite_pairs(const std::uint64_t* __restrict source,
                 std::int64_t tiles,
                 std::int64_t groups,
                 std::uint64_t* __restrict target) {
  if (groups % 2 == 0) {
    for (std::int64_t i = 0; i < tiles * groups / 2; ++i) {
      target[i] = source[2 * i] | source[2 * i + 1];
    }
    return;
  }
  const std::int64_t pairs = groups / 2;
  for (std::int64_t t = 0; t < tiles; ++t, source += groups, target += pairs + 1) {
    for (std::int64_t g = 0; g < pairs; ++g) target[g] = source[2 * g] | source[2 * g + 1];
    target[pairs] = source[groups - 1];
  }
}

struct Grouping {
  std::int64_t queries = 1;  // of a row block
  double ns = std::numeric_limits<double>::infinity();
};

// More queries in a row block share fetched keys, but compute on the union of their keys. unions:
// the words of the heads that are stacked, [tile][queries].
Grouping choose_grouping(std::vector<std::uint64_t> unions,
                         std::int64_t tiles,
                         std::int64_t queries,
                         std::int64_t heads,
                         const Choice& choice) {
  std::vector<std::uint64_t> next;
  std::int64_t groups = queries;
  Grouping best;
  for (std::int64_t size = 1; size * heads <= kMaxRows; size *= 2) {
    // Costs are linear in keys: those of one row block with all keys, and the fixed part of others.
    const std::int64_t keys = count_bits(unions.data(), tiles * groups);
    const double fixed_ns = choice.block_ns({.rows = size * heads});
    // What is far away is the first key of a run.
    const std::int64_t runs = count_runs(unions.data(), tiles * groups);
    const double all_ns = choice.block_ns(
        {.rows = size * heads, .keys = keys, .gathered_keys = runs, .masked_keys = keys});
    const double ns = all_ns + static_cast<double>(groups - 1) * fixed_ns;
    if (ns < best.ns) best = {size, ns};
    if (groups == 1) break;
    next.resize(static_cast<std::size_t>(tiles * ((groups + 1) / 2)));
    unite_pairs(unions.data(), tiles, groups, next.data());
    unions.swap(next);
    groups = (groups + 1) / 2;
  }
  return best;
}

}  // namespace

// Makes row blocks of a stack of heads.
class RowsPlan::RowBlocks {
 public:
  RowBlocks(const ActiveWords& active, const Stack& stack, std::int64_t first_head, Part& part)
      : active_(active),
        mask_(active.mask()),
        stack_(stack),
        mask_heads_{mask_.view_of(stack.first_head),
                    mask_.view_of(stack.first_head + stack.heads - 1) + 1},
        first_head_(first_head),
        part_(part) {}

  // Appends the row block of queries [first, first + queries) of the piece.
  void add(std::int64_t first, std::int64_t queries) {
    first_ = first;
    queries_ = queries;
    rows_ = stack_.heads * queries;
    list_keys();
    set_bits();
    RowBlock rows{.first_head = first_head_ + stack_.first_head,
                  .first_query = mask_.first_query() + first,
                  .heads = static_cast<std::int32_t>(stack_.heads),
                  .queries = static_cast<std::int32_t>(queries),
                  .blocks_begin = static_cast<std::int64_t>(part_.key_blocks.size()),
                  .walk = Walk::kRows};
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
      for (std::size_t i = mask_heads_.begin; i < mask_heads_.end; ++i) {
        const std::uint64_t* words = active_.words(t, i) + first_;
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
      for (std::size_t i = mask_heads_.begin; i < mask_heads_.end; ++i) {
        const std::uint64_t* words = active_.words(t, i) + first_;
        std::uint64_t* const rows =
            words_.data() + static_cast<std::int64_t>(i - mask_heads_.begin) * queries_;
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
    if (mask_heads_.end - mask_heads_.begin == 1) repeat_first_head(blocks);
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
      for (std::int64_t h = 1; h < stack_.heads; ++h) {
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
          mask_.sampled(mask_.view_of(stack_.first_head + r / queries_), first_ + r % queries_);
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
  const Stack& stack_;
  const ActiveWords::MaskHeads mask_heads_;
  const std::int64_t first_head_;  // of the piece
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

RowsPlan::RowsPlan(const Mask& mask, const Piece& piece, const Choice& choice)
    : first_head_(piece.first_head), active_(std::make_unique<ActiveWords>(mask, piece)) {
  const auto tiles = static_cast<std::int64_t>(active_->tile_count());
  const std::int64_t queries = active_->mask().queries();
  const std::size_t mask_heads = active_->mask().view_count();
  const Grouping stacked =
      choose_grouping(active_->unite({0, mask_heads}), tiles, queries, piece.heads, choice);
  stacks_ = {{0, piece.heads, stacked.queries}};
  ns_ = stacked.ns;
  if (mask_heads > 1) {
    std::vector<Stack> stacks;
    double ns = 0;
    for (std::size_t h = 0; h < mask_heads && ns < ns_; ++h) {
      const Grouping alone = choose_grouping(active_->unite({h, h + 1}), tiles, queries, 1, choice);
      stacks.push_back({static_cast<std::int64_t>(h), 1, alone.queries});
      ns += alone.ns;
    }
    if (ns < ns_) {
      stacks_ = std::move(stacks);
      ns_ = ns;
    }
  }
  ns_ += active_->planning_ns();
}

RowsPlan::~RowsPlan() = default;

void RowsPlan::append_to(Part& part) const {
  const std::int64_t queries = active_->mask().queries();
  for (const Stack& stack : stacks_) {
    RowBlocks row_blocks(*active_, stack, first_head_, part);
    for (std::int64_t q = 0; q < queries; q += stack.queries) {
      row_blocks.add(q, std::min(stack.queries, queries - q));
    }
  }
}

}  // namespace maskerade::detail
