#include "framework/mask/set_operations.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <string>
#include <utility>
#include <vector>

#include "framework/base/error.hpp"
#include "framework/mask/detail/bit_reader.hpp"
#include "framework/mask/detail/mask_assembler.hpp"
#include "framework/mask/detail/probability.hpp"
#include "framework/mask/detail/visible_words.hpp"
#include "framework/mask/tile_row_builder.hpp"

namespace maskerade {
namespace {

// A set operation. On words of the bitmaps over tiles (aa, af: any and full of a; ba, bf: of b),
// with both operands canonical: `full` tiles of the result are known from the bitmaps alone,
// `partial` ones need their words; one of the operands is partial there. On bits, and on
// probabilities.
struct Union {
  using Word = std::uint64_t;
  static Word full(Word, Word af, Word, Word bf) { return af | bf; }
  static Word partial(Word aa, Word af, Word ba, Word bf) { return (aa | ba) & ~(af | bf); }
  static Word bits(Word a, Word b) { return a | b; }
  static float probability(float p, float q) { return detail::united_probability(p, q); }
};

struct Intersection {
  using Word = std::uint64_t;
  static Word full(Word, Word af, Word, Word bf) { return af & bf; }
  static Word partial(Word aa, Word af, Word ba, Word bf) { return aa & ba & ~(af & bf); }
  static Word bits(Word a, Word b) { return a & b; }
  static float probability(float p, float q) { return detail::intersected_probability(p, q); }
};

// b has no sampled entries.
struct Difference {
  using Word = std::uint64_t;
  static Word full(Word, Word af, Word ba, Word) { return af & ~ba; }
  static Word partial(Word aa, Word af, Word ba, Word bf) { return aa & ~bf & ~(af & ~ba); }
  static Word bits(Word a, Word b) { return a & ~b; }
  static float probability(float p, float q) { return q > 0.0F ? 0.0F : p; }
};

std::string describe(MaskExtent extent) {
  return fmt::format("({}, {})", extent.batch, extent.heads);
}

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

// Calls visit(b, h, tile row) in the order of a mask's arrays.
template <typename Visit>
void for_each_tile_row(MaskExtent extent, std::int64_t tile_rows, Visit&& visit) {
  for (std::int64_t b = 0; b < extent.batch; ++b) {
    for (std::int64_t h = 0; h < extent.heads; ++h) {
      for (std::int64_t index = 0; index < tile_rows; ++index) visit(b, h, index);
    }
  }
}

TileRowView broadcast_tile_row(
    const Mask& mask, MaskExtent extent, std::int64_t b, std::int64_t h, std::int64_t index) {
  return mask.tile_row(mask.extent_batch(b), mask.extent_head(h, extent.heads), index);
}

// The words of one operand's tiles, which are asked for in ascending order.
class TileSource {
 public:
  TileSource(const TileRowView& view, const detail::VisibleWords& visible)
      : view_(view), visible_(visible), next_(view.partial) {}

  // The tile's words[rows], whether it is empty, full or partial. Every partial tile must be asked
  // for; other tiles may be.
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

 private:
  const TileRowView& view_;
  const detail::VisibleWords& visible_;
  const std::uint64_t* next_;
  detail::TileWords filled_;
};

// One set operation over all tile rows, with memory that is reused from one to the next.
template <typename Operation>
class Combination {
 public:
  Combination(const Mask& a, const Mask& b) : a_(a), b_(b), extent_(joint_extent(a, b)) {}

  Mask run() {
    detail::MaskAssembler assembler(a_.visibility(), extent_);
    reserve(assembler);
    const bool with_sampled = a_.has_sampled() || b_.has_sampled();
    for_each_tile_row(
        extent_, a_.tile_row_count(), [&](std::int64_t b, std::int64_t h, std::int64_t index) {
          const TileRowView view_a = broadcast_tile_row(a_, extent_, b, h, index);
          const TileRowView view_b = broadcast_tile_row(b_, extent_, b, h, index);
          combine_bits(view_a, view_b);
          counts_.clear();
          keys_.clear();
          probabilities_.clear();
          if (with_sampled) combine_sampled(view_a, view_b, b, h);
          assembler.append(detail::TileRowParts{.any = any_,
                                                .full = full_,
                                                .partial = {partial_.data(), partial_words_},
                                                .sampled_counts = counts_,
                                                .sampled_keys = keys_,
                                                .sampled_probabilities = probabilities_});
        });
    return std::move(assembler).take();
  }

 private:
  void reserve(detail::MaskAssembler& assembler) const {
    std::int64_t words = 0;
    std::int64_t sampled = 0;
    for_each_tile_row(
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

  void combine_bits(const TileRowView& a, const TileRowView& b) {
    const detail::VisibleWords visible(a_.visibility(), a.first_query, a.rows);
    TileSource source_a(a, visible);
    TileSource source_b(b, visible);
    const auto rows = static_cast<std::size_t>(a.rows);
    any_.resize(a.any.size());
    full_.resize(a.any.size());
    partial_words_ = 0;
    for (std::size_t w = 0; w < a.any.size(); ++w) {
      const std::uint64_t known = Operation::full(a.any[w], a.full[w], b.any[w], b.full[w]);
      const std::uint64_t open = Operation::partial(a.any[w], a.full[w], b.any[w], b.full[w]);
      any_[w] = known;
      full_[w] = known;
      const std::size_t needed =
          partial_words_ + static_cast<std::size_t>(std::popcount(open)) * rows;
      if (partial_.size() < needed) partial_.resize(std::max(needed, 2 * partial_.size()));
      std::uint64_t left = (a.any[w] & ~a.full[w]) | (b.any[w] & ~b.full[w]);
      for (; left != 0; left &= left - 1) {
        const std::uint64_t bit = left & (~left + 1);
        const std::int64_t tile = static_cast<std::int64_t>(w) * 64 + std::countr_zero(left);
        const std::uint64_t* words_a = source_a.words(tile);
        const std::uint64_t* words_b = source_b.words(tile);
        if ((open & bit) == 0) continue;
        std::uint64_t* words = partial_.data() + partial_words_;
        std::uint64_t united = 0;
        for (std::size_t row = 0; row < rows; ++row) {
          words[row] = Operation::bits(words_a[row], words_b[row]);
          united |= words[row];
        }
        if (united == 0) continue;
        any_[w] |= bit;
        if (visible.are_all(tile, words)) {
          full_[w] |= bit;
        } else {
          partial_words_ += rows;
        }
      }
    }
  }

  void combine_sampled(const TileRowView& view_a,
                       const TileRowView& view_b,
                       std::int64_t b,
                       std::int64_t h) {
    bits_a_.start(view_a);
    bits_b_.start(view_b);
    for (int row = 0; row < view_a.rows; ++row) {
      const std::int64_t query = view_a.first_query + row;
      const SampledEntries x =
          a_.sampled(a_.extent_batch(b), a_.extent_head(h, extent_.heads), query);
      const SampledEntries y =
          b_.sampled(b_.extent_batch(b), b_.extent_head(h, extent_.heads), query);
      const std::size_t before = keys_.size();
      for (std::size_t i = 0, j = 0; i < x.keys.size() || j < y.keys.size();) {
        const bool in_x = i < x.keys.size() && (j == y.keys.size() || x.keys[i] <= y.keys[j]);
        const bool in_y = j < y.keys.size() && (i == x.keys.size() || y.keys[j] <= x.keys[i]);
        const std::int32_t key = in_x ? x.keys[i] : y.keys[j];
        const float p = in_x ? x.probabilities[i] : (bits_a_.has(row, key) ? 1.0F : 0.0F);
        const float q = in_y ? y.probabilities[j] : (bits_b_.has(row, key) ? 1.0F : 0.0F);
        const float combined = Operation::probability(p, q);
        if (combined > 0.0F && combined < 1.0F) {
          keys_.push_back(key);
          probabilities_.push_back(combined);
        }
        i += in_x ? 1 : 0;
        j += in_y ? 1 : 0;
      }
      counts_.push_back(static_cast<std::int64_t>(keys_.size() - before));
    }
  }

  const Mask& a_;
  const Mask& b_;
  MaskExtent extent_;
  std::vector<std::uint64_t> any_;
  std::vector<std::uint64_t> full_;
  std::vector<std::uint64_t> partial_;
  std::size_t partial_words_ = 0;  // of partial_, in use
  std::vector<std::int64_t> counts_;
  std::vector<std::int32_t> keys_;
  std::vector<float> probabilities_;
  detail::BitReader bits_a_;
  detail::BitReader bits_b_;
};

bool are_within(const TileRowView& a, const TileRowView& b, const detail::VisibleWords& visible) {
  for (std::size_t w = 0; w < a.any.size(); ++w) {
    // A full tile is not within a partial one: that lacks a visible entry.
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

// b has no sampled entries.
bool is_within(const Mask& a, const Mask& b) {
  const MaskExtent extent = joint_extent(a, b);
  bool within = true;
  detail::BitReader bits;
  for_each_tile_row(
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
  for_each_tile_row(mask.extent(), mask.tile_row_count(),
                    [&](std::int64_t b, std::int64_t h, std::int64_t index) {
                      assembler.append_copy(mask, b, h, index, false);
                    });
  return std::move(assembler).take();
}

Mask support_of(const Mask& mask) {
  if (!mask.has_sampled()) return mask;
  detail::MaskAssembler assembler(mask.visibility(), mask.extent());
  TileRowBuilder builder(mask.visibility());
  for_each_tile_row(
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

Mask broadcast(const Mask& mask, MaskExtent extent) {
  const MaskExtent own = mask.extent();
  if (extent.batch < 1 || extent.heads < 1 || (own.batch != 1 && own.batch != extent.batch) ||
      extent.heads % own.heads != 0) {
    throw ShapeError(
        fmt::format("a mask of (batch, heads) {} cannot be broadcast to {}: batch must be equal or "
                    "was 1, heads "
                    "must be a multiple",
                    describe(own), describe(extent)));
  }
  detail::MaskAssembler assembler(mask.visibility(), extent);
  for_each_tile_row(extent, mask.tile_row_count(),
                    [&](std::int64_t b, std::int64_t h, std::int64_t index) {
                      assembler.append_copy(mask, mask.extent_batch(b),
                                            mask.extent_head(h, extent.heads), index, true);
                    });
  return std::move(assembler).take();
}

}  // namespace maskerade
