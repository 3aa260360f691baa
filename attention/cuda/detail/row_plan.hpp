#pragma once

#include <cmath>
#include <cstdint>

#include "framework/mask/cuda/mask_view.hpp"
#include "framework/tensor/cuda/host_device.hpp"

// A mask made ready for the row kernels, on the device without waiting for it: lists of the keys
// that each row block attends to. Like tile_plan.hpp, written against steps and plain pointers.
namespace maskerade::cuda {

inline constexpr int kListRows = 16;  // most rows of a row block: the heads of a matrix fragment

// Row blocks are (batch, kv head, chunk of up to 16 of its query heads, query): what decode reads
// once for a group. Row r is head first_head + r.
struct RowLayout {
  std::int64_t batch = 1;
  std::int64_t query_heads = 1;
  std::int64_t kv_heads = 1;
  std::int64_t query_len = 1;
  std::int64_t mask_batch = 1;
  std::int64_t mask_heads = 1;
  std::int64_t heads = 1;   // of a row block
  bool own_layers = false;  // the heads of a row block have a mask head each

  static RowLayout of(std::int64_t batch,
                      std::int64_t query_heads,
                      std::int64_t kv_heads,
                      const MaskView& mask) {
    RowLayout layout{.batch = batch,
                     .query_heads = query_heads,
                     .kv_heads = kv_heads,
                     .query_len = mask.query_len,
                     .mask_batch = mask.batch,
                     .mask_heads = mask.heads};
    layout.heads = smaller<std::int64_t>(kListRows, layout.group());
    layout.own_layers = layout.heads > 1 && mask.heads == query_heads;
    return layout;
  }

  MASKERADE_HOST_DEVICE std::int64_t group() const { return query_heads / kv_heads; }
  MASKERADE_HOST_DEVICE std::int64_t chunks() const { return ceil_div(group(), heads); }
  MASKERADE_HOST_DEVICE std::int64_t row_blocks() const {
    return batch * kv_heads * chunks() * query_len;
  }
  MASKERADE_HOST_DEVICE std::int64_t pieces() const {
    return mask_batch * (own_layers ? kv_heads * chunks() : mask_heads) * query_len;
  }

  // Row block: ((b * kv_heads + kv) * chunks + chunk) * query_len + query.
  struct Place {
    std::int64_t batch;
    std::int64_t kv_head;
    std::int64_t first_head;
    std::int64_t heads;  // the last chunk of a group may have fewer
    std::int64_t query;
  };
  MASKERADE_HOST_DEVICE Place place_of(std::int64_t row_block) const {
    const std::int64_t chunk = row_block / query_len % chunks();
    const std::int64_t kv = row_block / query_len / chunks();
    return {kv / kv_heads, kv % kv_heads, kv % kv_heads * group() + chunk * heads,
            smaller(heads, group() - chunk * heads), row_block % query_len};
  }
  MASKERADE_HOST_DEVICE std::int64_t piece_of(std::int64_t row_block) const {
    const Place place = place_of(row_block);
    const std::int64_t b = mask_batch == 1 ? 0 : place.batch;
    if (own_layers) return row_block - (place.batch - b) * kv_heads * chunks() * query_len;
    return (b * mask_heads + place.first_head * mask_heads / query_heads) * query_len + place.query;
  }
  MASKERADE_HOST_DEVICE bool has_row(const Place& place, std::int64_t r) const {
    return r < place.heads;
  }
  // Row r of a row block in [batch, query_heads, query_len].
  MASKERADE_HOST_DEVICE std::int64_t row_of(const Place& place, std::int64_t r) const {
    return (place.batch * query_heads + place.first_head + r) * query_len + place.query;
  }
  // Mask heads of a piece, and the slice of the first.
  MASKERADE_HOST_DEVICE std::int64_t layers_of(std::int64_t piece) const {
    return own_layers ? place_of(piece).heads : 1;
  }
  MASKERADE_HOST_DEVICE std::int64_t slice_of(std::int64_t piece) const {
    if (!own_layers) return piece / query_len;
    const Place place = place_of(piece);  // pieces are the row blocks of mask_batch entries
    return place.batch * mask_heads + place.first_head;
  }
};

struct RowPlanArrays {
  std::int64_t* offsets = nullptr;  // [pieces * spans + 1] in keys
  std::int32_t* keys = nullptr;     // [capacity] ascending within a piece
  std::uint16_t* rows = nullptr;    // [capacity] bit r: row r attends to the key; null: all do
  float* biases = nullptr;          // [capacity][layers of the layout] -log2 p; null: p is 1
  std::int64_t capacity = 0;
  std::int32_t* overflow = nullptr;  // set to 1 when the capacity was too small
};

// What a row kernel reads.
struct RowPlan {
  RowLayout layout;
  MaskView mask;
  std::int64_t span_tiles = 1;  // tiles that are listed by one step's index
  RowPlanArrays arrays;

  MASKERADE_HOST_DEVICE std::int64_t spans() const { return ceil_div(mask.tiles(), span_tiles); }
  // The keys of a piece; none of any piece after an overflow.
  MASKERADE_HOST_DEVICE Range keys_of(std::int64_t piece) const {
    if (*arrays.overflow != 0) return {};
    return {arrays.offsets[piece * spans()], arrays.offsets[(piece + 1) * spans()]};
  }
  // Biases of a key.
  MASKERADE_HOST_DEVICE std::int64_t layers() const { return layout.own_layers ? layout.heads : 1; }
};

namespace detail {

// The columns of a tile that a row of a piece attends to.
MASKERADE_HOST_DEVICE std::uint64_t piece_word(const RowPlan& plan,
                                               std::int64_t piece,
                                               std::int64_t tile) {
  const std::int64_t slice = plan.layout.slice_of(piece);
  const std::int64_t query = piece % plan.layout.query_len;
  std::uint64_t columns = 0;
  for (std::int64_t layer = 0; layer < plan.layout.layers_of(piece); ++layer) {
    columns |= plan.mask.support_word(slice + layer, query, tile);
  }
  return columns;
}

struct CountKeys {
  RowPlan plan;
  MASKERADE_HOST_DEVICE void operator()(std::int64_t i) const {
    const std::int64_t piece = i / plan.spans();
    const std::int64_t first = i % plan.spans() * plan.span_tiles;
    std::int64_t count = 0;
    for (std::int64_t tile = first; tile < smaller(first + plan.span_tiles, plan.mask.tiles());
         ++tile) {
      count += popcount(piece_word(plan, piece, tile));
    }
    plan.arrays.offsets[i] = count;
  }
};

struct ListKeys {
  RowPlan plan;
  MASKERADE_HOST_DEVICE void operator()(std::int64_t i) const {
    const std::int64_t piece = i / plan.spans();
    const std::int64_t first = i % plan.spans() * plan.span_tiles;
    std::int64_t at = plan.arrays.offsets[i];
    for (std::int64_t tile = first; tile < smaller(first + plan.span_tiles, plan.mask.tiles());
         ++tile) {
      for (std::uint64_t left = piece_word(plan, piece, tile); left != 0; left &= left - 1) {
        if (at >= plan.arrays.capacity) {
          *plan.arrays.overflow = 1;
          return;
        }
        list(piece, tile, lowest_bit(left), at++);
      }
    }
  }

 private:
  MASKERADE_HOST_DEVICE void list(std::int64_t piece,
                                  std::int64_t tile,
                                  int column,
                                  std::int64_t at) const {
    const std::int64_t slice = plan.layout.slice_of(piece);
    const std::int64_t query = piece % plan.layout.query_len;
    const auto key = static_cast<std::int32_t>(tile * kTileKeys + column);
    plan.arrays.keys[at] = key;
    unsigned rows = 0;
    for (std::int64_t layer = 0; layer < plan.layout.layers_of(piece); ++layer) {
      rows |=
          static_cast<unsigned>((plan.mask.support_word(slice + layer, query, tile) >> column) & 1U)
          << layer;
      if (plan.arrays.biases != nullptr) {
        plan.arrays.biases[at * plan.layers() + layer] =
            -log2f(plan.mask.sampled_probability(slice + layer, query, key));
      }
    }
    if (plan.arrays.rows != nullptr) plan.arrays.rows[at] = static_cast<std::uint16_t>(rows);
  }
};

}  // namespace detail

// Fills a plan's arrays; *overflow is 0 before.
template <typename Steps>
void make_row_plan(const Steps& steps, const RowPlan& plan) {
  const std::int64_t items = plan.layout.pieces() * plan.spans();
  steps.for_each(items, detail::CountKeys{plan});
  steps.exclusive_sum(plan.arrays.offsets, items);
  steps.for_each(items, detail::ListKeys{plan});
}

}  // namespace maskerade::cuda
