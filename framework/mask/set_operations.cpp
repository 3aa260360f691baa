#include "framework/mask/set_operations.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>
#include <string>
#include <utility>
#include <vector>

#include "framework/base/error.hpp"
#include "framework/mask/detail/bit_reader.hpp"
#include "framework/mask/detail/mask_assembler.hpp"
#include "framework/mask/detail/probability.hpp"
#include "framework/mask/detail/tile_rows.hpp"
#include "framework/mask/detail/visible_words.hpp"
#include "framework/mask/detail/word_kernels.hpp"
#include "framework/mask/tile_row_builder.hpp"

namespace maskerade {
namespace {

// The set operations on masks a and b, as Combination applies them, on three levels.
// Tiles: a_any and a_full are words of the bitmaps of a, b_any and b_full of b. full() gives the
// tiles that are full in the result whatever their words are; partial() those whose words must be
// combined to know, because an operand is partial there. Every other tile of the result is empty.
// Words: kBits is the operation on the bits of such tiles.
// Probabilities: combine() turns p[i] of a and q[i] of b, 0 where inactive, into that of the
// result.
struct Union {
  using Word = std::uint64_t;
  static Word full(Word, Word a_full, Word, Word b_full) { return a_full | b_full; }
  static Word partial(Word a_any, Word a_full, Word b_any, Word b_full) {
    return (a_any | b_any) & ~(a_full | b_full);
  }
  static constexpr detail::WordOperation kBits{~Word{0}, ~Word{0}, ~Word{0}};  // ~(~a & ~b)
  static void combine(float* p, const float* q, std::size_t count) {
    detail::unite_probabilities(p, q, count);
  }
};

struct Intersection {
  using Word = std::uint64_t;
  static Word full(Word, Word a_full, Word, Word b_full) { return a_full & b_full; }
  static Word partial(Word a_any, Word a_full, Word b_any, Word b_full) {
    return a_any & b_any & ~(a_full & b_full);
  }
  static constexpr detail::WordOperation kBits{};  // a & b
  static void combine(float* p, const float* q, std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) p[i] = detail::intersected_probability(p[i], q[i]);
  }
};

// Requires that b has no sampled entries.
struct Difference {
  using Word = std::uint64_t;
  static Word full(Word, Word a_full, Word b_any, Word) { return a_full & ~b_any; }
  static Word partial(Word a_any, Word a_full, Word b_any, Word b_full) {
    return a_any & ~b_full & ~(a_full & ~b_any);
  }
  static constexpr detail::WordOperation kBits{.flip_b = ~Word{0}};  // a & ~b
  static void combine(float* p, const float* q, std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) p[i] = q[i] > 0.0F ? 0.0F : p[i];
  }
};

std::string describe(MaskExtent extent) {
  return fmt::format("({}, {})", extent.batch, extent.heads);
}

// The extent of a result of a and b. Throws ShapeError when they do not broadcast to one.
MaskExtent joint_extent(const Mask& a, const Mask& b) {
  if (!(a.visibility() == b.visibility())) {
    throw ShapeError(fmt::format(
        "masks over {} queries x {} keys and {} x {}: both must have the same visible entries",
        a.query_len(), a.key_len(), b.query_len(), b.key_len()));
  }
  const auto [batch_a, heads_a] = a.extent();
  const auto [batch_b, heads_b] = b.extent();
  const MaskExtent joint{std::max(batch_a, batch_b), std::max(heads_a, heads_b)};
  const bool batch_fits = batch_a == batch_b || std::min(batch_a, batch_b) == 1;
  if (!batch_fits || joint.heads % std::min(heads_a, heads_b) != 0) {
    throw ShapeError(
        fmt::format("masks of (batch, heads) {} and {}: batch must be equal or 1, heads a multiple "
                    "of each other",
                    describe(a.extent()), describe(b.extent())));
  }
  return joint;
}

// The tile row of a mask that serves (b, h) of a larger extent.
TileRowView broadcast_tile_row(
    const Mask& mask, MaskExtent extent, std::int64_t b, std::int64_t h, std::int64_t index) {
  return mask.tile_row(mask.extent_batch(b), mask.extent_head(h, extent.heads), index);
}

// Gives the words of one operand's tiles in a tile row. Tiles must be asked for in ascending order:
// one by one with words() or, when they have one row, 64 at a time with group().
class TileSource {
 public:
  TileSource(const TileRowView& view, const detail::VisibleWords& visible)
      : view_(view), visible_(visible), next_(view.partial) {
    for (std::size_t w = 0; w < view.any.size(); ++w) {
      left_ += static_cast<std::size_t>(std::popcount(view.any[w] & ~view.full[w]));
    }
  }

  // The words[rows] of a tile, which may be empty, full or partial. No partial tile may be left
  // out: their words are found by counting the calls. Valid until the next call.
  const std::uint64_t* words(std::int64_t tile) {
    const auto w = static_cast<std::size_t>(tile / 64);
    const std::uint64_t bit = std::uint64_t{1} << (tile % 64);
    if ((view_.any[w] & bit) == 0) {
      filled_.fill(0);
      return filled_.data();
    }
    if ((view_.full[w] & bit) != 0) {
      visible_.fill(tile, filled_.data());
      return filled_.data();
    }
    const std::uint64_t* words = next_;
    next_ += view_.rows;
    return words;
  }

  // The tiles [64 w, 64 w + 64) of a tile row of one row. No group with a partial tile may be left
  // out. Valid until the next call.
  detail::OneRowTiles group(std::size_t w) {
    detail::OneRowTiles tiles{
        .partial = view_.any[w] & ~view_.full[w], .full = view_.full[w], .words = next_};
    const auto count = static_cast<std::size_t>(std::popcount(tiles.partial));
    next_ += count;
    left_ -= count;
    if (left_ < detail::kSlack) {
      std::copy_n(tiles.words, count, filled_.begin());
      tiles.words = filled_.data();
    }
    return tiles;
  }

 private:
  const TileRowView& view_;
  const detail::VisibleWords& visible_;
  const std::uint64_t* next_;
  std::size_t left_ = 0;  // for group(): partial tiles from next_ on
  // Words that do not lie in the mask, or lie where kSlack words more could not be read.
  std::array<std::uint64_t, kTileRows + detail::kSlack> filled_;
};

// Merges two lists of entries: keys gets the keys of both, ascending and each once, p and q their
// probabilities in x and y, 0 where a list lacks the key. Each has room for the keys of both lists.
// Returns the number of keys. Rationale: no branch depends on which list a key comes from, since
// the processor would mispredict every other one on random masks; the next keys are loaded before
// that is known.
std::size_t merge(
    const SampledEntries& x, const SampledEntries& y, std::int32_t* keys, float* p, float* q) {
  const std::size_t size_x = x.keys.size();
  const std::size_t size_y = y.keys.size();
  const std::int32_t* keys_x = x.keys.data();
  const std::int32_t* keys_y = y.keys.data();
  const float* weights_x = x.probabilities.data();
  const float* weights_y = y.probabilities.data();
  std::size_t i = 0;
  std::size_t j = 0;
  std::size_t n = 0;
  // `value` if `in`, else 0; and `value` if `in`, else `other`. Computed with bit masks, because
  // compilers turn conditional expressions into branches.
  const auto masked = [](float value, bool in) {
    return std::bit_cast<float>(std::bit_cast<std::uint32_t>(value) &
                                (0U - static_cast<std::uint32_t>(in)));
  };
  const auto chosen = [](std::int32_t value, std::int32_t other, bool in) {
    return other ^ ((value ^ other) & -static_cast<std::int32_t>(in));
  };
  if (size_x > 0 && size_y > 0) {
    std::int32_t key_x = keys_x[0];
    std::int32_t key_y = keys_y[0];
    for (; i + 1 < size_x && j + 1 < size_y; ++n) {
      const std::int32_t next_x = keys_x[i + 1];
      const std::int32_t next_y = keys_y[j + 1];
      const bool in_x = key_x <= key_y;
      const bool in_y = key_y <= key_x;
      keys[n] = std::min(key_x, key_y);
      p[n] = masked(weights_x[i], in_x);
      q[n] = masked(weights_y[j], in_y);
      i += static_cast<std::size_t>(in_x);
      j += static_cast<std::size_t>(in_y);
      key_x = chosen(next_x, key_x, in_x);
      key_y = chosen(next_y, key_y, in_y);
    }
  }
  for (; i < size_x && j < size_y; ++n) {
    const bool in_x = keys_x[i] <= keys_y[j];
    const bool in_y = keys_y[j] <= keys_x[i];
    keys[n] = in_x ? keys_x[i] : keys_y[j];
    p[n] = masked(weights_x[i], in_x);
    q[n] = masked(weights_y[j], in_y);
    i += static_cast<std::size_t>(in_x);
    j += static_cast<std::size_t>(in_y);
  }
  // At most one of the two has entries left.
  for (; i < size_x; ++i, ++n) {
    keys[n] = keys_x[i];
    p[n] = weights_x[i];
    q[n] = 0.0F;
  }
  for (; j < size_y; ++j, ++n) {
    keys[n] = keys_y[j];
    p[n] = 0.0F;
    q[n] = weights_y[j];
  }
  return n;
}

// Removes, in place, the entries whose probability is 0 (inactive) or 1 (a bit). Returns how many
// are left.
std::size_t keep_sampled(std::int32_t* keys, float* probabilities, std::size_t count) {
  unsigned dropped = 0;
  for (std::size_t i = 0; i < count; ++i) {
    dropped |= probabilities[i] > 0.0F && probabilities[i] < 1.0F ? 0U : 1U;
  }
  if (dropped == 0) return count;
  std::size_t kept = 0;
  for (std::size_t i = 0; i < count; ++i) {
    const float probability = probabilities[i];
    keys[kept] = keys[i];
    probabilities[kept] = probability;
    kept += static_cast<std::size_t>((probability > 0.0F) & (probability < 1.0F));
  }
  return kept;
}

// One set operation on two masks. Its memory is reused from one tile row to the next.
template <typename Operation>
class Combination {
 public:
  Combination(const Mask& a, const Mask& b) : a_(a), b_(b), extent_(joint_extent(a, b)) {}

  Mask run() {
    detail::MaskAssembler assembler(a_.visibility(), extent_);
    reserve(assembler);
    const bool with_sampled = a_.has_sampled() || b_.has_sampled();
    detail::for_each_tile_row(
        extent_, a_.tile_row_count(), [&](std::int64_t b, std::int64_t h, std::int64_t index) {
          const TileRowView view_a = broadcast_tile_row(a_, extent_, b, h, index);
          const TileRowView view_b = broadcast_tile_row(b_, extent_, b, h, index);
          combine_bits(view_a, view_b);
          counts_.clear();
          if (with_sampled) combine_sampled(view_a, view_b, b, h);
          assembler.append(detail::TileRowParts{
              .any = any_,
              .full = full_,
              .partial = {partial_.data(), partial_words_},
              .sampled_counts = counts_,
              .sampled_keys = {keys_.data(), sampled_entries_},
              .sampled_probabilities = {probabilities_.data(), sampled_entries_}});
        });
    return std::move(assembler).take();
  }

 private:
  // Allocates memory for the most that the result can hold.
  void reserve(detail::MaskAssembler& assembler) const {
    std::int64_t words = 0;
    std::int64_t sampled = 0;
    detail::for_each_tile_row(
        extent_, a_.tile_row_count(), [&](std::int64_t b, std::int64_t h, std::int64_t index) {
          const TileRowView x = broadcast_tile_row(a_, extent_, b, h, index);
          const TileRowView y = broadcast_tile_row(b_, extent_, b, h, index);
          for (std::size_t w = 0; w < x.any.size(); ++w) {
            words += x.rows *
                     std::popcount(Operation::partial(x.any[w], x.full[w], y.any[w], y.full[w]));
          }
        });
    const auto copies = [&](const Mask& mask) {
      return extent_.batch * extent_.heads / (mask.extent().batch * mask.extent().heads);
    };
    sampled = a_.sampled_count() * copies(a_) + b_.sampled_count() * copies(b_);
    assembler.reserve(words, sampled);
  }

  // Makes any_, full_ and partial_ of one tile row of the result.
  void combine_bits(const TileRowView& a, const TileRowView& b) {
    const detail::VisibleWords visible(a_.visibility(), a.first_query, a.rows);
    TileSource source_a(a, visible);
    TileSource source_b(b, visible);
    any_.resize(a.any.size());
    full_.resize(a.any.size());
    partial_words_ = 0;
    for (std::size_t w = 0; w < a.any.size(); ++w) {
      const std::uint64_t full = Operation::full(a.any[w], a.full[w], b.any[w], b.full[w]);
      const std::uint64_t open = Operation::partial(a.any[w], a.full[w], b.any[w], b.full[w]);
      any_[w] = full;
      full_[w] = full;
      const std::size_t needed =
          partial_words_ + detail::kSlack + static_cast<std::size_t>(std::popcount(open) * a.rows);
      if (partial_.size() < needed) partial_.resize(std::max(needed, 2 * partial_.size()));
      // A TileSource must be asked for every partial tile, also where the result is known.
      const std::uint64_t read = (a.any[w] & ~a.full[w]) | (b.any[w] & ~b.full[w]);
      if (read == 0) continue;
      if (a.rows == 1) {
        combine_group(w, open, visible, source_a, source_b);
      } else {
        combine_tiles(w, open, read, a.rows, visible, source_a, source_b);
      }
    }
  }

  // Combines the tiles [64 w, 64 w + 64) of a tile row of one row, those in `open`.
  void combine_group(std::size_t w,
                     std::uint64_t open,
                     const detail::VisibleWords& visible,
                     TileSource& a,
                     TileSource& b) {
    const std::uint64_t* seen = visible.row_words(static_cast<std::int64_t>(w) * 64, visible_);
    const detail::GroupSummary group = detail::combine_one_row(
        Operation::kBits, a.group(w), b.group(w), seen, open, partial_.data() + partial_words_);
    any_[w] |= group.any;
    full_[w] |= group.full;
    partial_words_ += static_cast<std::size_t>(std::popcount(group.any & ~group.full));
  }

  // Combines the tiles [64 w, 64 w + 64), those in `open`; reads from both sources those in `read`.
  void combine_tiles(std::size_t w,
                     std::uint64_t open,
                     std::uint64_t read,
                     int rows,
                     const detail::VisibleWords& visible,
                     TileSource& a,
                     TileSource& b) {
    for (; read != 0; read &= read - 1) {
      const std::uint64_t bit = read & (~read + 1);
      const std::int64_t tile = static_cast<std::int64_t>(w) * 64 + std::countr_zero(read);
      const std::uint64_t* words_a = a.words(tile);
      const std::uint64_t* words_b = b.words(tile);
      if ((open & bit) == 0) continue;
      const detail::TileSummary summary =
          detail::combine_tile(Operation::kBits, words_a, words_b, visible.words(tile, visible_),
                               rows, partial_.data() + partial_words_);
      if (summary.is_empty) continue;
      any_[w] |= bit;
      if (summary.is_full) {
        full_[w] |= bit;
      } else {
        partial_words_ += static_cast<std::size_t>(rows);
      }
    }
  }

  // Makes counts_, keys_ and probabilities_ of one tile row of the result, for (b, h) of its
  // extent.
  void combine_sampled(const TileRowView& view_a,
                       const TileRowView& view_b,
                       std::int64_t b,
                       std::int64_t h) {
    bits_a_.start(view_a);
    bits_b_.start(view_b);
    const bool with_bits = bits_a_.has_any() || bits_b_.has_any();
    std::size_t total = 0;
    for (int row = 0; row < view_a.rows; ++row) {
      const std::int64_t query = view_a.first_query + row;
      const SampledEntries x =
          a_.sampled(a_.extent_batch(b), a_.extent_head(h, extent_.heads), query);
      const SampledEntries y =
          b_.sampled(b_.extent_batch(b), b_.extent_head(h, extent_.heads), query);
      const std::size_t most = x.keys.size() + y.keys.size();
      if (keys_.size() < total + most) {
        keys_.resize(std::max(total + most, 2 * keys_.size()));
        probabilities_.resize(keys_.size());
      }
      if (other_probabilities_.size() < most) other_probabilities_.resize(most);
      std::int32_t* keys = keys_.data() + total;
      float* p = probabilities_.data() + total;
      float* q = other_probabilities_.data();
      const std::size_t merged = merge(x, y, keys, p, q);
      for (std::size_t i = 0; with_bits && i < merged; ++i) {
        if (bits_a_.has(row, keys[i])) p[i] = 1.0F;
        if (bits_b_.has(row, keys[i])) q[i] = 1.0F;
      }
      Operation::combine(p, q, merged);
      const std::size_t kept = keep_sampled(keys, p, merged);
      counts_.push_back(static_cast<std::int64_t>(kept));
      total += kept;
    }
    sampled_entries_ = total;
  }

  const Mask& a_;
  const Mask& b_;
  MaskExtent extent_;
  std::vector<std::uint64_t> any_;
  std::vector<std::uint64_t> full_;
  std::vector<std::uint64_t> partial_;
  std::size_t partial_words_ = 0;  // how many words of partial_ the tile row uses
  detail::TileWords visible_;
  std::vector<std::int64_t> counts_;  // [rows] sampled entries; empty when neither mask has any
  std::vector<std::int32_t> keys_;
  std::vector<float> probabilities_;
  std::vector<float> other_probabilities_;  // of one row: those of b, beside those of a
  std::size_t sampled_entries_ = 0;         // how many keys and probabilities the tile row uses
  detail::BitReader bits_a_;
  detail::BitReader bits_b_;
};

// Whether every bit of a tile row is set in that of another mask.
bool are_within(const TileRowView& a, const TileRowView& b, const detail::VisibleWords& visible) {
  for (std::size_t w = 0; w < a.any.size(); ++w) {
    // A full tile is not within a partial one, since a partial tile lacks a visible entry.
    if ((a.any[w] & ~b.any[w]) != 0 || (a.full[w] & ~b.full[w]) != 0) return false;
  }
  TileSource source_a(a, visible);
  TileSource source_b(b, visible);
  for (std::size_t w = 0; w < a.any.size(); ++w) {
    std::uint64_t left = (a.any[w] & ~a.full[w]) | (b.any[w] & ~b.full[w]);
    for (; left != 0; left &= left - 1) {
      const std::int64_t tile = static_cast<std::int64_t>(w) * 64 + std::countr_zero(left);
      const std::uint64_t* words_a = source_a.words(tile);
      const std::uint64_t* words_b = source_b.words(tile);
      std::uint64_t outside = 0;
      for (int row = 0; row < a.rows; ++row) outside |= words_a[row] & ~words_b[row];
      if (outside != 0) return false;
    }
  }
  return true;
}

// Whether every active entry of a is a bit of b.
bool is_within(const Mask& a, const Mask& b) {
  const MaskExtent extent = joint_extent(a, b);
  bool within = true;
  detail::BitReader bits;
  detail::for_each_tile_row(
      extent, a.tile_row_count(), [&](std::int64_t batch, std::int64_t head, std::int64_t index) {
        if (!within) return;
        const TileRowView view_a = broadcast_tile_row(a, extent, batch, head, index);
        const TileRowView view_b = broadcast_tile_row(b, extent, batch, head, index);
        const detail::VisibleWords visible(a.visibility(), view_a.first_query, view_a.rows);
        within = are_within(view_a, view_b, visible);
        if (!within || !a.has_sampled()) return;
        bits.start(view_b);
        for (int row = 0; row < view_a.rows; ++row) {
          const SampledEntries entries = a.sampled(
              a.extent_batch(batch), a.extent_head(head, extent.heads), view_a.first_query + row);
          for (const std::int32_t key : entries.keys) within = within && bits.has(row, key);
        }
      });
  return within;
}

}  // namespace

Mask union_of(const Mask& a, const Mask& b) { return Combination<Union>(a, b).run(); }

Mask intersection_of(const Mask& a, const Mask& b) { return Combination<Intersection>(a, b).run(); }

Mask difference_of(const Mask& a, const Mask& b) {
  if (b.has_sampled()) return Combination<Difference>(a, support_of(b)).run();
  return Combination<Difference>(a, b).run();
}

Mask complement_of(const Mask& mask) {
  if (mask.has_sampled()) {
    throw ShapeError(fmt::format(
        "the mask has {} entries with probability below 1, whose complement is not defined; take "
        "the complement of its support or of its deterministic part",
        mask.sampled_count()));
  }
  return difference_of(Mask::full(mask.visibility(), mask.extent()), mask);
}

bool is_subset(const Mask& a, const Mask& b) {
  return b.has_sampled() ? is_within(a, support_of(b)) : is_within(a, b);
}

Mask deterministic_part(const Mask& mask) {
  detail::MaskAssembler assembler(mask.visibility(), mask.extent());
  detail::for_each_tile_row(mask.extent(), mask.tile_row_count(),
                            [&](std::int64_t b, std::int64_t h, std::int64_t index) {
                              assembler.append_copy(mask, b, h, index, false);
                            });
  return std::move(assembler).take();
}

Mask support_of(const Mask& mask) {
  if (!mask.has_sampled()) return mask;
  detail::MaskAssembler assembler(mask.visibility(), mask.extent());
  TileRowBuilder builder(mask.visibility());
  detail::for_each_tile_row(
      mask.extent(), mask.tile_row_count(),
      [&](std::int64_t b, std::int64_t h, std::int64_t index) {
        builder.start(index, mask, b, h);
        for (int row = 0; row < builder.rows(); ++row) {
          for (const std::int32_t key : mask.sampled(b, h, index * kTileRows + row).keys) {
            builder.add_key(row, key);
          }
        }
        assembler.append(builder.finish());
      });
  return std::move(assembler).take();
}

namespace {

// Throws ShapeError unless a mask of extent `own` can serve `extent`.
void require_broadcast(MaskExtent own, MaskExtent extent) {
  if (extent.batch < 1 || extent.heads < 1 || (own.batch != 1 && own.batch != extent.batch) ||
      extent.heads % own.heads != 0) {
    throw ShapeError(
        fmt::format("a mask of (batch, heads) {} cannot be broadcast to {}: batch must be equal or "
                    "was 1, heads "
                    "must be a multiple",
                    describe(own), describe(extent)));
  }
}

}  // namespace

Mask broadcast(const Mask& mask, MaskExtent extent) {
  require_broadcast(mask.extent(), extent);
  detail::MaskAssembler assembler(mask.visibility(), extent);
  detail::for_each_tile_row(extent, mask.tile_row_count(),
                            [&](std::int64_t b, std::int64_t h, std::int64_t index) {
                              assembler.append_copy(mask, mask.extent_batch(b),
                                                    mask.extent_head(h, extent.heads), index, true);
                            });
  return std::move(assembler).take();
}

Mask gather_heads(const std::vector<const Mask*>& of_head) {
  if (of_head.empty()) throw ShapeError("a mask has at least one head");
  const Visibility& visibility = of_head.front()->visibility();
  MaskExtent extent{1, static_cast<std::int64_t>(of_head.size())};
  for (const Mask* mask : of_head) extent.batch = std::max(extent.batch, mask->extent().batch);
  for (const Mask* mask : of_head) {
    if (!(mask->visibility() == visibility)) {
      throw ShapeError("the heads of one mask must have the same visible entries");
    }
    require_broadcast(mask->extent(), extent);
  }
  detail::MaskAssembler assembler(visibility, extent);
  detail::for_each_tile_row(extent, of_head.front()->tile_row_count(),
                            [&](std::int64_t b, std::int64_t h, std::int64_t index) {
                              const Mask& mask = *of_head[static_cast<std::size_t>(h)];
                              assembler.append_copy(mask, mask.extent_batch(b),
                                                    mask.extent_head(h, extent.heads), index, true);
                            });
  return std::move(assembler).take();
}

Mask keys_between(const Mask& mask, std::int64_t key_begin, std::int64_t key_end) {
  std::vector<TileRow> rows;
  TileRowBuilder builder(mask.visibility());
  for (std::int64_t t = 0; t < mask.tile_row_count(); ++t) {
    builder.start(t);
    builder.add_range(0, builder.rows(), key_begin, key_end);
    rows.push_back(builder.finish());
  }
  return intersection_of(mask, Mask::from_tile_rows(mask.visibility(), {}, rows));
}

}  // namespace maskerade
