#pragma once

#include <cstdint>
#include <span>

#include "framework/mask/mask.hpp"
#include "framework/mask/tile_row_builder.hpp"

namespace maskerade::detail {

// A TileRow whose arrays belong to the caller. It must be in canonical form.
struct TileRowParts {
  std::span<const std::uint64_t> any;
  std::span<const std::uint64_t> full;
  std::span<const std::uint64_t> partial;
  std::span<const std::int64_t> sampled_counts;  // [rows]; empty when no row has sampled entries
  std::span<const std::int32_t> sampled_keys;
  std::span<const float> sampled_probabilities;
};

// Builds a mask from canonical tile rows. They are appended in the order of the mask's arrays: tile
// row by tile row of a head, head by head of a batch.
class MaskAssembler {
 public:
  MaskAssembler(const Visibility& visibility, MaskExtent extent);

  // Allocates memory for so many words of partial tiles and sampled entries, which saves growing it
  // later. More may be appended.
  void reserve(std::int64_t partial_words, std::int64_t sampled_entries);
  // Appends the next tile row, which is copied. Throws ShapeError when its arrays do not have the
  // sizes that fit each other and the mask.
  void append(const TileRowParts& parts);
  void append(const TileRow& tile_row);
  // Appends a copy of tile row `tile_row` of (b, h) of a mask with the same query_len and key_len;
  // without its sampled entries unless with_sampled.
  void append_copy(
      const Mask& source, std::int64_t b, std::int64_t h, std::int64_t tile_row, bool with_sampled);
  // The mask. Requires that all its tile rows were appended; the assembler is used up.
  Mask take() &&;

 private:
  void append_sampled(const TileRowParts& parts, std::int64_t first_row, int rows);

  Mask mask_;
  std::int64_t next_ = 0;  // number of tile rows that were appended
};

}  // namespace maskerade::detail
