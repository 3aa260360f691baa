#pragma once

#include <cstdint>

#include "framework/mask/mask.hpp"

namespace maskerade::detail {

// Calls visit(b, h, tile row) for every tile row, in the order of a mask's arrays.
template <typename Visit>
void for_each_tile_row(MaskExtent extent, std::int64_t tile_rows, Visit&& visit) {
  for (std::int64_t b = 0; b < extent.batch; ++b) {
    for (std::int64_t h = 0; h < extent.heads; ++h) {
      for (std::int64_t index = 0; index < tile_rows; ++index) visit(b, h, index);
    }
  }
}

}  // namespace maskerade::detail
