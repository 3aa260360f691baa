#pragma once

#include <cstdint>

#include "framework/mask/mask.hpp"

namespace maskerade::cuda {

// The most that a mask can hold over its extent. The host knows these bounds while the mask itself
// is still being made on the device, and allocates memory for the mask and its plans by them.
struct MaskBounds {
  std::int64_t active_tiles = 0;   // tiles with an active bit
  std::int64_t partial_tiles = 0;  // of these, tiles that are not full
  std::int64_t active_bits = 0;    // entries with probability 1
  std::int64_t sampled = 0;        // entries with a probability below 1

  // Bounds of a mask in host memory.
  static MaskBounds of(const Mask& mask);
  // Bounds of the union of two masks with these bounds and `added`; none is larger than that in
  // `all`, the bounds of a mask in which every entry is active.
  MaskBounds with(const MaskBounds& added, const MaskBounds& all) const;
  // Bounds of a mask that is broadcast to `copies` times its extent.
  MaskBounds times(std::int64_t copies) const;
};

}  // namespace maskerade::cuda
