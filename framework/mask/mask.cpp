#include "framework/mask/mask.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

#include "framework/base/error.hpp"
#include "framework/base/quantile.hpp"
#include "framework/mask/count_copies.hpp"
#include "framework/mask/detail/bit_reader.hpp"
#include "framework/mask/detail/mask_assembler.hpp"
#include "framework/mask/detail/tile_rows.hpp"
#include "framework/mask/detail/visible_words.hpp"
#include "framework/mask/tile_row_builder.hpp"

namespace maskerade {

Mask::Mask(const Visibility& visibility, MaskExtent extent)
    : visibility_(visibility), extent_(extent) {
  if (extent.batch < 1 || extent.heads < 1) {
    throw ShapeError(
        fmt::format("a mask's extent is batch {} and heads {}; each must be at least 1",
                    extent.batch, extent.heads));
  }
  const std::int64_t tile_rows = extent.batch * extent.heads * tile_row_count();
  any_.resize(static_cast<std::size_t>(tile_rows * detail::words_for(tile_count())));
  full_.resize(any_.size());
  partial_offsets_.resize(static_cast<std::size_t>(tile_rows + 1));
}

Mask Mask::empty(const Visibility& visibility, MaskExtent extent) {
  return Mask(visibility, extent);
}

Mask Mask::full(const Visibility& visibility, MaskExtent extent) {
  Mask mask(visibility, extent);
  const std::int64_t words = detail::words_for(mask.tile_count());
  const std::int64_t slice = mask.tile_row_count() * words;
  for (std::int64_t tile_row = 0; tile_row < mask.tile_row_count(); ++tile_row) {
    const TileRowView view = mask.tile_row(0, 0, tile_row);
    const detail::VisibleWords visible(visibility, view.first_query, view.rows);
    for (std::int64_t w = 0; w < words; ++w) {
      mask.full_[static_cast<std::size_t>(tile_row * words + w)] =
          detail::low_bits(visible.tile_end() - w * 64);
    }
  }
  for (std::int64_t copy = 1; copy < extent.batch * extent.heads; ++copy) {
    std::copy_n(mask.full_.begin(), slice, mask.full_.begin() + copy * slice);
  }
  mask.any_ = mask.full_;
  return mask;
}

Mask Mask::from_tile_rows(const Visibility& visibility,
                          MaskExtent extent,
                          const std::vector<TileRow>& tile_rows) {
  detail::MaskAssembler assembler(visibility, extent);
  const std::int64_t expected =
      extent.batch * extent.heads * ((visibility.query_len() + kTileRows - 1) / kTileRows);
  if (static_cast<std::int64_t>(tile_rows.size()) != expected) {
    throw ShapeError(fmt::format(
        "{} tile rows for a mask of {} batch x {} heads x {} queries; there must be {}",
        tile_rows.size(), extent.batch, extent.heads, visibility.query_len(), expected));
  }
  std::int64_t partial_words = 0;
  std::int64_t sampled = 0;
  for (const TileRow& tile_row : tile_rows) {
    partial_words += static_cast<std::int64_t>(tile_row.partial.size());
    sampled += static_cast<std::int64_t>(tile_row.sampled_keys.size());
  }
  assembler.reserve(partial_words, sampled);
  for (const TileRow& tile_row : tile_rows) {
    assembler.append(tile_row);
  }
  return std::move(assembler).take();
}

std::int64_t Mask::tile_height() const noexcept { return std::min(kTileRows, query_len()); }

std::int64_t Mask::tile_row_count() const noexcept {
  return (query_len() + kTileRows - 1) / kTileRows;
}

std::int64_t Mask::tile_count() const noexcept { return (key_len() + kTileKeys - 1) / kTileKeys; }

TileRowView Mask::tile_row(std::int64_t b, std::int64_t h, std::int64_t tile_row) const noexcept {
  const std::int64_t index = (b * extent_.heads + h) * tile_row_count() + tile_row;
  const auto words = static_cast<std::size_t>(detail::words_for(tile_count()));
  const std::size_t first_word = static_cast<std::size_t>(index) * words;
  const std::int64_t first_query = tile_row * kTileRows;
  return {.first_query = first_query,
          .rows = static_cast<int>(std::min(kTileRows, query_len() - first_query)),
          .any = {any_.data() + first_word, words},
          .full = {full_.data() + first_word, words},
          .partial = partial_.data() + partial_offsets_[static_cast<std::size_t>(index)]};
}

SampledEntries Mask::sampled(std::int64_t b, std::int64_t h, std::int64_t query) const noexcept {
  if (sampled_offsets_.empty()) return {};
  const auto row = static_cast<std::size_t>((b * extent_.heads + h) * query_len() + query);
  const auto first = static_cast<std::size_t>(sampled_offsets_[row]);
  const std::size_t count = static_cast<std::size_t>(sampled_offsets_[row + 1]) - first;
  return {.keys = {sampled_keys_.data() + first, count},
          .probabilities = {sampled_probabilities_.data() + first, count}};
}

float Mask::probability(std::int64_t b,
                        std::int64_t h,
                        std::int64_t query,
                        std::int64_t key) const {
  if (b < 0 || b >= extent_.batch || h < 0 || h >= extent_.heads || query < 0 ||
      query >= query_len() || key < 0 || key >= key_len()) {
    throw ShapeError(
        fmt::format("entry (batch {}, head {}, query {}, key {}) is outside a mask of "
                    "({}, {}, {}, {})",
                    b, h, query, key, extent_.batch, extent_.heads, query_len(), key_len()));
  }
  if (key >= visibility_.end(query)) return 0.0F;
  detail::BitReader bits;
  bits.start(tile_row(b, h, query / kTileRows));
  if (bits.has(static_cast<int>(query % kTileRows), key)) return 1.0F;
  const SampledEntries entries = sampled(b, h, query);
  const auto found = std::lower_bound(entries.keys.begin(), entries.keys.end(), key);
  if (found == entries.keys.end() || *found != key) return 0.0F;
  return entries.probabilities[static_cast<std::size_t>(found - entries.keys.begin())];
}

std::int64_t Mask::size_bytes() const noexcept {
  const auto bytes = [](const auto& values) { return values.size() * sizeof(values[0]); };
  return static_cast<std::int64_t>(bytes(any_) + bytes(full_) + bytes(partial_offsets_) +
                                   bytes(partial_) + bytes(sampled_offsets_) +
                                   bytes(sampled_keys_) + bytes(sampled_probabilities_));
}

namespace {

// What one tile row holds.
struct TileRowCounts {
  // The active entries of each row, with whatever probability.
  std::array<std::int64_t, static_cast<std::size_t>(kTileRows)> active{};
  int rows = 0;
  std::int64_t tiles_full = 0;
  std::int64_t tiles_partial = 0;
};

TileRowCounts count_tile_row(const Mask& mask, std::int64_t b, std::int64_t h, std::int64_t index) {
  const TileRowView view = mask.tile_row(b, h, index);
  const detail::VisibleWords visible(mask.visibility(), view.first_query, view.rows);
  TileRowCounts counts;
  counts.rows = view.rows;
  std::int64_t in_every_row = 0;
  view.for_each_tile([&](std::int64_t tile, const std::uint64_t* words) {
    (words == nullptr ? counts.tiles_full : counts.tiles_partial) += 1;
    if (words == nullptr && visible.sees_all(tile)) {
      in_every_row += kTileKeys;
      return;
    }
    for (int row = 0; row < view.rows; ++row) {
      const std::uint64_t word = words == nullptr ? visible.word(row, tile) : words[row];
      counts.active[static_cast<std::size_t>(row)] += std::popcount(word);
    }
  });
  for (int row = 0; row < view.rows; ++row) {
    counts.active[static_cast<std::size_t>(row)] +=
        in_every_row +
        static_cast<std::int64_t>(mask.sampled(b, h, view.first_query + row).keys.size());
  }
  return counts;
}

double ratio(std::int64_t active, std::int64_t visible) {
  return visible == 0 ? 0.0 : static_cast<double>(active) / static_cast<double>(visible);
}

}  // namespace

MaskCounts count(const Mask& mask) { return count_copies(mask, 1); }

MaskCounts count_copies(const Mask& mask, std::int64_t copies) {
  MaskCounts counts;
  std::vector<double> densities;
  const std::int64_t slices = mask.extent().batch * mask.extent().heads;
  densities.reserve(static_cast<std::size_t>(slices * mask.query_len()));
  detail::for_each_tile_row(
      mask.extent(), mask.tile_row_count(),
      [&](std::int64_t b, std::int64_t h, std::int64_t index) {
        const TileRowCounts tile_row = count_tile_row(mask, b, h, index);
        counts.tiles_full += tile_row.tiles_full;
        counts.tiles_partial += tile_row.tiles_partial;
        for (int row = 0; row < tile_row.rows; ++row) {
          const std::int64_t active = tile_row.active[static_cast<std::size_t>(row)];
          const std::int64_t visible = mask.visibility().end(index * kTileRows + row);
          counts.active_entries += active;
          if (active == 0) ++counts.empty_rows;
          if (visible > 0) densities.push_back(ratio(active, visible));
        }
      });
  counts.sampled_entries = mask.sampled_count();
  counts.visible_entries = slices * mask.visibility().visible_entries();
  counts.tiles_empty =
      slices * mask.tile_row_count() * mask.tile_count() - counts.tiles_full - counts.tiles_partial;
  counts.density = ratio(counts.active_entries, counts.visible_entries);
  if (!densities.empty()) {
    counts.density_p5 = quantile_in_place(densities, copies, 0.05);
    counts.density_p95 = quantile_in_place(densities, copies, 0.95);
  }
  for (std::int64_t* value :
       {&counts.active_entries, &counts.sampled_entries, &counts.visible_entries,
        &counts.tiles_full, &counts.tiles_partial, &counts.tiles_empty, &counts.empty_rows}) {
    *value *= copies;
  }
  return counts;
}

double density(const Mask& mask) {
  std::int64_t active = 0;
  detail::for_each_tile_row(mask.extent(), mask.tile_row_count(),
                            [&](std::int64_t b, std::int64_t h, std::int64_t index) {
                              const TileRowCounts tile_row = count_tile_row(mask, b, h, index);
                              for (int row = 0; row < tile_row.rows; ++row) {
                                active += tile_row.active[static_cast<std::size_t>(row)];
                              }
                            });
  return ratio(active,
               mask.extent().batch * mask.extent().heads * mask.visibility().visible_entries());
}

}  // namespace maskerade
