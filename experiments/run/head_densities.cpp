#include "experiments/run/head_densities.hpp"

#include <algorithm>
#include <bit>
#include <cstdint>

namespace maskerade {
namespace {

// Over all rows of one head of the mask.
std::int64_t count_active(const Mask& mask, std::int64_t b, std::int64_t h) {
  std::int64_t active = 0;
  for (std::int64_t index = 0; index < mask.tile_row_count(); ++index) {
    const TileRowView view = mask.tile_row(b, h, index);
    view.for_each_tile([&](std::int64_t tile, const std::uint64_t* words) {
      for (int row = 0; row < view.rows; ++row) {
        active += words != nullptr
                      ? std::popcount(words[row])
                      : std::clamp<std::int64_t>(
                            mask.visibility().end(view.first_query + row) - tile * kTileKeys, 0,
                            kTileKeys);
      }
    });
    for (int row = 0; row < view.rows; ++row) {
      active += static_cast<std::int64_t>(mask.sampled(b, h, view.first_query + row).keys.size());
    }
  }
  return active;
}

}  // namespace

std::vector<double> head_densities(const Mask& mask, const AttentionShape& shape) {
  const MaskExtent extent = mask.extent();
  const std::int64_t visible = mask.visibility().visible_entries();
  std::vector<double> own;  // of the mask's own batch entries and heads
  for (std::int64_t b = 0; b < extent.batch; ++b) {
    for (std::int64_t h = 0; h < extent.heads; ++h) {
      own.push_back(visible == 0 ? 0.0
                                 : static_cast<double>(count_active(mask, b, h)) /
                                       static_cast<double>(visible));
    }
  }
  std::vector<double> densities;
  for (std::int64_t b = 0; b < shape.batch; ++b) {
    for (std::int64_t h = 0; h < shape.query_heads; ++h) {
      densities.push_back(own[static_cast<std::size_t>(mask.extent_batch(b) * extent.heads +
                                                       mask.extent_head(h, shape.query_heads))]);
    }
  }
  return densities;
}

}  // namespace maskerade
