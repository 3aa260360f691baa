#pragma once

#include <cstdint>

#include "framework/mask/mask.hpp"

namespace maskerade::cuda {

// Upper bounds of what plans of a mask hold, known before they are made: from the host's copy.
struct MaskBounds {
  std::int64_t active_tiles = 0;   // tiles with an active bit, over the mask's extent
  std::int64_t partial_tiles = 0;  // of these, not full
  std::int64_t active_bits = 0;
  std::int64_t sampled = 0;

  static MaskBounds of(const Mask& mask);
  // Of a union with what has other bounds; `all` is what the extent can hold.
  MaskBounds with(const MaskBounds& added, const MaskBounds& all) const;
  // Of a mask that is broadcast to so many times its extent.
  MaskBounds times(std::int64_t copies) const;
};

}  // namespace maskerade::cuda
