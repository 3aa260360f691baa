#pragma once

#include <cstdint>
#include <span>

#include "framework/mask/mask.hpp"
#include "framework/mask/tile_row_builder.hpp"

namespace maskerade::detail {

// The parts of one canonical tile row, owned by someone else; as in TileRow.
struct TileRowParts {
  std::span<const std::uint64_t> any;
  std::span<const std::uint64_t> full;
  std::span<const std::uint64_t> partial;
  std::span<const std::int64_t> sampled_counts;  // [rows], or empty: none
  std::span<const std::int32_t> sampled_keys;
  std::span<const float> sampled_probabilities;
};

// Makes a mask of its tile rows, which come in the order of the mask's arrays.
class MaskAssembler {
 public:
  MaskAssembler(const Visibility& visibility, MaskExtent extent);

  // Memory for what will be appended.
  void reserve(std::int64_t partial_words, std::int64_t sampled_entries);
  // Throws ShapeError when the parts do not fit each other or the tile row.
  void append(const TileRowParts& parts);
  void append(const TileRow& tile_row);
  // A tile row of another mask of the same lengths.
  void append_copy(
      const Mask& source, std::int64_t b, std::int64_t h, std::int64_t tile_row, bool with_sampled);
  // The mask, after the last tile row.
  Mask take() &&;

 private:
  void append_sampled(const TileRowParts& parts, std::int64_t first_row, int rows);

  Mask mask_;
  std::int64_t next_ = 0;  // tile rows appended
};

}  // namespace maskerade::detail
