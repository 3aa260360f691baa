#pragma once

#include <cstdint>

#include "framework/mask/mask.hpp"

namespace maskerade::detail {

// Calls visit(b, h, index) for every tile row of a mask with so many tile rows per (batch, head),
// in the order of the mask's arrays. `index` counts the tile rows of (b, h).
template <typename Visit>
void for_each_tile_row(MaskExtent extent, std::int64_t tile_rows, Visit&& visit) {
  for (std::int64_t b = 0; b < extent.batch; ++b) {
    for (std::int64_t h = 0; h < extent.heads; ++h) {
      for (std::int64_t index = 0; index < tile_rows; ++index) visit(b, h, index);
    }
  }
}

}  // namespace maskerade::detail
