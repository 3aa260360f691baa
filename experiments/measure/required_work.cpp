#include "experiments/measure/required_work.hpp"

#include <algorithm>
#include <bit>
#include <compare>
#include <map>
#include <vector>

#include "framework/sdk/low_bits.hpp"

namespace maskerade {
namespace {

// Sets a bit in `keys` for every key that at least one row of a mask head attends to. keys[tile]
// has a bit for each of the tile's 64 keys.
void add_keys(const Mask& mask, std::int64_t b, std::int64_t h, std::vector<std::uint64_t>& keys) {
  for (std::int64_t index = 0; index < mask.tile_row_count(); ++index) {
    const TileRowView view = mask.tile_row(b, h, index);
    std::int64_t visible_end = 0;
    for (int row = 0; row < view.rows; ++row) {
      visible_end = std::max(visible_end, mask.visibility().end(view.first_query + row));
      for (const std::int32_t key : mask.sampled(b, h, view.first_query + row).keys) {
        keys[static_cast<std::size_t>(key / kTileKeys)] |= std::uint64_t{1} << (key % kTileKeys);
      }
    }
    view.for_each_tile([&](std::int64_t tile, const std::uint64_t* words) {
      std::uint64_t& word = keys[static_cast<std::size_t>(tile)];
      if (words == nullptr) {
        const std::int64_t visible = std::min(visible_end - tile * kTileKeys, kTileKeys);
        word |= sdk::low_bits(visible);
      } else {
        for (int row = 0; row < view.rows; ++row) word |= words[row];
      }
    });
  }
}

}  // namespace

std::int64_t count_attended_keys(const Mask& mask, const AttentionShape& shape) {
  const std::int64_t group = shape.group_size();
  // The counts of the parts of the mask that groups use. Groups that share a part by broadcasting
  // have it counted only once.
  struct MaskPart {
    std::int64_t batch;
    std::int64_t first_head;
    std::int64_t last_head;
    auto operator<=>(const MaskPart&) const = default;
  };
  std::map<MaskPart, std::int64_t> counts;
  std::int64_t total = 0;
  for (std::int64_t b = 0; b < shape.batch; ++b) {
    for (std::int64_t kv = 0; kv < shape.kv_heads; ++kv) {
      const std::int64_t batch = mask.extent_batch(b);
      const std::int64_t first = mask.extent_head(kv * group, shape.query_heads);
      const std::int64_t last = mask.extent_head((kv + 1) * group - 1, shape.query_heads);
      const auto [entry, is_new] = counts.try_emplace({batch, first, last}, 0);
      if (is_new) {
        std::vector<std::uint64_t> keys(static_cast<std::size_t>(mask.tile_count()));
        for (std::int64_t h = first; h <= last; ++h) add_keys(mask, batch, h, keys);
        for (const std::uint64_t word : keys) entry->second += std::popcount(word);
      }
      total += entry->second;
    }
  }
  return total;
}

std::int64_t row_bytes(const AttentionShape& shape, DType dtype) {
  const auto float_bytes = static_cast<std::int64_t>(sizeof(float));
  return shape.rows() *
         (shape.head_dim * (static_cast<std::int64_t>(size_of(dtype)) + float_bytes) + float_bytes);
}

RequiredWork required_work(const Mask& mask,
                           const AttentionShape& shape,
                           DType dtype,
                           std::int64_t active_entries) {
  const std::int64_t key_bytes = 2 * shape.head_dim * static_cast<std::int64_t>(size_of(dtype));
  return {.flops = 4.0 * static_cast<double>(shape.head_dim) * static_cast<double>(active_entries),
          .bytes = static_cast<double>(count_attended_keys(mask, shape) * key_bytes +
                                       row_bytes(shape, dtype))};
}

double RequiredWork::attainable_ms(const MachinePeaks& peaks) const noexcept {
  return 1000 * std::max(flops / peaks.flops_per_second, bytes / peaks.read_bytes_per_second);
}

}  // namespace maskerade
