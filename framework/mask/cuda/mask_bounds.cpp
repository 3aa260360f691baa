#include "framework/mask/cuda/mask_bounds.hpp"

#include <algorithm>

#include "framework/mask/bit_words.hpp"

namespace maskerade::cuda {

MaskBounds MaskBounds::of(const Mask& mask) {
  const MaskArrays arrays = mask.arrays();
  const auto count = [](std::span<const std::uint64_t> words) {
    return maskerade::detail::count_bits(words.data(), static_cast<std::int64_t>(words.size()));
  };
  MaskBounds bounds;
  bounds.active_tiles = count(arrays.any);
  const std::int64_t full_tiles = count(arrays.full);
  bounds.partial_tiles = bounds.active_tiles - full_tiles;
  bounds.active_bits =
      count(arrays.partial) + full_tiles * mask.tile_height() * maskerade::kTileKeys;
  bounds.sampled = mask.sampled_count();
  return bounds;
}

MaskBounds MaskBounds::with(const MaskBounds& added, const MaskBounds& all) const {
  const auto sum = [](std::int64_t a, std::int64_t b, std::int64_t most) {
    return a >= most - std::min(b, most) ? most : a + b;
  };
  return {.active_tiles = sum(active_tiles, added.active_tiles, all.active_tiles),
          .partial_tiles = sum(partial_tiles, added.partial_tiles, all.partial_tiles),
          .active_bits = sum(active_bits, added.active_bits, all.active_bits),
          .sampled = sum(sampled, added.sampled, all.sampled)};
}

MaskBounds MaskBounds::times(std::int64_t copies) const {
  return {active_tiles * copies, partial_tiles * copies, active_bits * copies, sampled * copies};
}

}  // namespace maskerade::cuda
