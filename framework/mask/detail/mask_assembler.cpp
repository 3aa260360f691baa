#include "framework/mask/detail/mask_assembler.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>
#include <numeric>
#include <utility>

#include "framework/base/error.hpp"
#include "framework/mask/detail/visible_words.hpp"

namespace maskerade::detail {
namespace {

void check_size(std::int64_t tile_row, const char* name, std::size_t size, std::int64_t expected) {
  if (static_cast<std::int64_t>(size) != expected) {
    throw ShapeError(fmt::format("tile row {}: {} has {} elements; it must have {}", tile_row, name,
                                 size, expected));
  }
}

}  // namespace

MaskAssembler::MaskAssembler(const Visibility& visibility, MaskExtent extent)
    : mask_(visibility, extent) {
  mask_.partial_offsets_.clear();
  mask_.partial_offsets_.reserve(
      static_cast<std::size_t>(extent.batch * extent.heads * mask_.tile_row_count() + 1));
  mask_.partial_offsets_.push_back(0);
}

void MaskAssembler::reserve(std::int64_t partial_words, std::int64_t sampled_entries) {
  mask_.partial_.reserve(static_cast<std::size_t>(partial_words));
  mask_.sampled_keys_.reserve(static_cast<std::size_t>(sampled_entries));
  mask_.sampled_probabilities_.reserve(static_cast<std::size_t>(sampled_entries));
}

void MaskAssembler::append(const TileRowParts& parts) {
  const std::int64_t words = words_for(mask_.tile_count());
  const std::int64_t tile_row = next_ % mask_.tile_row_count();
  const std::int64_t first_query = tile_row * kTileRows;
  const std::int64_t rows = std::min(kTileRows, mask_.query_len() - first_query);
  check_size(next_, "any", parts.any.size(), words);
  check_size(next_, "full", parts.full.size(), words);
  std::int64_t partial_tiles = 0;
  for (std::int64_t w = 0; w < words; ++w) {
    const std::uint64_t any = parts.any[static_cast<std::size_t>(w)];
    const std::uint64_t full = parts.full[static_cast<std::size_t>(w)];
    if ((any & ~low_bits(mask_.tile_count() - w * 64)) != 0 || (full & ~any) != 0) {
      throw ShapeError(fmt::format(
          "tile row {}: any and full must be within the {} tiles of a row, and full within any",
          next_, mask_.tile_count()));
    }
    partial_tiles += std::popcount(any & ~full);
  }
  check_size(next_, "partial", parts.partial.size(), partial_tiles * rows);
  if (!parts.sampled_counts.empty()) {
    check_size(next_, "sampled_counts", parts.sampled_counts.size(), rows);
  }
  check_size(
      next_, "sampled_keys", parts.sampled_keys.size(),
      std::accumulate(parts.sampled_counts.begin(), parts.sampled_counts.end(), std::int64_t{0}));
  check_size(next_, "sampled_probabilities", parts.sampled_probabilities.size(),
             static_cast<std::int64_t>(parts.sampled_keys.size()));

  std::copy(parts.any.begin(), parts.any.end(), mask_.any_.begin() + next_ * words);
  std::copy(parts.full.begin(), parts.full.end(), mask_.full_.begin() + next_ * words);
  mask_.partial_.insert(mask_.partial_.end(), parts.partial.begin(), parts.partial.end());
  mask_.partial_offsets_.push_back(static_cast<std::int64_t>(mask_.partial_.size()));
  const std::int64_t slice = next_ / mask_.tile_row_count();
  append_sampled(parts, slice * mask_.query_len() + first_query, static_cast<int>(rows));
  ++next_;
}

void MaskAssembler::append(const TileRow& tile_row) {
  append(TileRowParts{.any = tile_row.any,
                      .full = tile_row.full,
                      .partial = tile_row.partial,
                      .sampled_counts = tile_row.sampled_counts,
                      .sampled_keys = tile_row.sampled_keys,
                      .sampled_probabilities = tile_row.sampled_probabilities});
}

void MaskAssembler::append_sampled(const TileRowParts& parts, std::int64_t first_row, int rows) {
  std::vector<std::int64_t>& offsets = mask_.sampled_offsets_;
  if (offsets.empty()) {
    if (parts.sampled_keys.empty()) return;
    offsets.reserve(static_cast<std::size_t>(
        mask_.extent_.batch * mask_.extent_.heads * mask_.query_len() + 1));
    offsets.assign(static_cast<std::size_t>(first_row + 1), 0);
  }
  for (int row = 0; row < rows; ++row) {
    const std::int64_t count =
        parts.sampled_counts.empty() ? 0 : parts.sampled_counts[static_cast<std::size_t>(row)];
    offsets.push_back(offsets.back() + count);
  }
  mask_.sampled_keys_.insert(mask_.sampled_keys_.end(), parts.sampled_keys.begin(),
                             parts.sampled_keys.end());
  mask_.sampled_probabilities_.insert(mask_.sampled_probabilities_.end(),
                                      parts.sampled_probabilities.begin(),
                                      parts.sampled_probabilities.end());
}

void MaskAssembler::append_copy(
    const Mask& source, std::int64_t b, std::int64_t h, std::int64_t tile_row, bool with_sampled) {
  const TileRowView view = source.tile_row(b, h, tile_row);
  const std::int64_t slice = b * source.extent_.heads + h;
  const auto index = static_cast<std::size_t>(slice * source.tile_row_count() + tile_row);
  TileRowParts parts{
      .any = view.any,
      .full = view.full,
      .partial = {view.partial, static_cast<std::size_t>(source.partial_offsets_[index + 1] -
                                                         source.partial_offsets_[index])},
      .sampled_counts = {},
      .sampled_keys = {},
      .sampled_probabilities = {}};
  std::array<std::int64_t, static_cast<std::size_t>(kTileRows)> counts{};
  if (with_sampled && source.has_sampled()) {
    const std::int64_t* offsets =
        source.sampled_offsets_.data() + slice * source.query_len() + view.first_query;
    for (int row = 0; row < view.rows; ++row) {
      counts[static_cast<std::size_t>(row)] = offsets[row + 1] - offsets[row];
    }
    const auto total = static_cast<std::size_t>(offsets[view.rows] - offsets[0]);
    parts.sampled_counts = {counts.data(), static_cast<std::size_t>(view.rows)};
    parts.sampled_keys = {source.sampled_keys_.data() + offsets[0], total};
    parts.sampled_probabilities = {source.sampled_probabilities_.data() + offsets[0], total};
  }
  append(parts);
}

Mask MaskAssembler::take() && {
  // Gives back memory that was reserved and not needed.
  const auto trim = [](auto& values) {
    if (values.capacity() - values.size() > values.size() / 8) values.shrink_to_fit();
  };
  trim(mask_.partial_);
  trim(mask_.sampled_keys_);
  trim(mask_.sampled_probabilities_);
  return std::move(mask_);
}

}  // namespace maskerade::detail
