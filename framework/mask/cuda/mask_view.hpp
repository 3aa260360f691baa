#pragma once

#include <cstdint>

#include "framework/tensor/cuda/host_device.hpp"

namespace maskerade::cuda {

inline constexpr int kTileKeys = 64;  // maskerade::kTileKeys, as device code uses it

// The arrays of a mask (see MaskArrays) in one memory space, host or device, with ranks by which
// any thread finds a tile's words at once. A slice is one (mask batch, mask head), with the number
// b * heads + h. Tiles have 64 keys and up to 64 queries. Does not own its arrays.
struct MaskView {
  std::int64_t batch = 1;
  std::int64_t heads = 1;
  std::int64_t query_len = 1;
  std::int64_t key_len = 1;
  const std::uint64_t* any = nullptr;   // [slices * tile_rows][words] the tiles with active bits
  const std::uint64_t* full = nullptr;  // [slices * tile_rows][words] the tiles that are full
  // [slices * tile_rows][words] how many partial tiles of the tile row are before the word's tiles
  const std::int32_t* ranks = nullptr;
  const std::int64_t* partial_offsets = nullptr;  // [slices * tile_rows + 1] into partial
  const std::uint64_t* partial = nullptr;         // the words of all partial tiles
  const std::int64_t* sampled_offsets = nullptr;  // [slices * query_len + 1]; null: no such entries
  const std::int32_t* sampled_keys = nullptr;     // of all rows, ascending within a row
  const float* sampled_probabilities = nullptr;   // of the same entries
  const std::int32_t* ends = nullptr;             // [query_len] one past the last visible key

  MASKERADE_HOST_DEVICE std::int64_t slices() const { return batch * heads; }
  MASKERADE_HOST_DEVICE std::int64_t tile_rows() const { return ceil_div(query_len, 64); }
  MASKERADE_HOST_DEVICE std::int64_t tile_height() const {
    return smaller<std::int64_t>(64, query_len);
  }
  MASKERADE_HOST_DEVICE std::int64_t tiles() const { return ceil_div(key_len, kTileKeys); }
  // The words of a bitmap over the tiles of one tile row.
  MASKERADE_HOST_DEVICE std::int64_t words() const { return ceil_div(tiles(), 64); }
  MASKERADE_HOST_DEVICE std::int64_t tile_row_index(std::int64_t slice, std::int64_t query) const {
    return slice * tile_rows() + query / 64;
  }
  // The number of queries in the tile row that `query` lies in.
  MASKERADE_HOST_DEVICE std::int64_t rows_of(std::int64_t query) const {
    return smaller<std::int64_t>(64, query_len - query / 64 * 64);
  }

  // The keys of a tile that a query sees: bit j is key 64 * tile + j.
  MASKERADE_HOST_DEVICE std::uint64_t visible_word(std::int64_t query, std::int64_t tile) const {
    return low_bits(ends[query] - tile * kTileKeys);
  }

  // Whether the tile that holds `query` in `tile` is full.
  MASKERADE_HOST_DEVICE bool is_full(std::int64_t slice,
                                     std::int64_t query,
                                     std::int64_t tile) const {
    return ((full[tile_row_index(slice, query) * words() + tile / 64] >> (tile % 64)) & 1U) != 0;
  }

  // The keys of a tile that are active for a query with probability 1: bit j is key 64 * tile + j.
  MASKERADE_HOST_DEVICE std::uint64_t word(std::int64_t slice,
                                           std::int64_t query,
                                           std::int64_t tile) const {
    const std::int64_t tile_row = tile_row_index(slice, query);
    const std::int64_t at = tile_row * words() + tile / 64;
    const std::uint64_t bit = std::uint64_t{1} << (tile % 64);
    if ((any[at] & bit) == 0) return 0;
    if ((full[at] & bit) != 0) return visible_word(query, tile);
    const std::int64_t rank = ranks[at] + popcount(any[at] & ~full[at] & (bit - 1));
    return partial[partial_offsets[tile_row] + rank * rows_of(query) + query % 64];
  }

  MASKERADE_HOST_DEVICE bool has_sampled() const { return sampled_offsets != nullptr; }

  // The index, in sampled_keys, of the first sampled entry of a query whose key is not below `key`;
  // sampled_end() if there is none. Requires has_sampled().
  MASKERADE_HOST_DEVICE std::int64_t first_sampled(std::int64_t slice,
                                                   std::int64_t query,
                                                   std::int64_t key) const {
    std::int64_t low = sampled_offsets[slice * query_len + query];
    std::int64_t high = sampled_end(slice, query);
    while (low < high) {
      const std::int64_t middle = low + (high - low) / 2;
      if (sampled_keys[middle] < key) {
        low = middle + 1;
      } else {
        high = middle;
      }
    }
    return low;
  }
  // One past the index of the last sampled entry of a query. Requires has_sampled().
  MASKERADE_HOST_DEVICE std::int64_t sampled_end(std::int64_t slice, std::int64_t query) const {
    return sampled_offsets[slice * query_len + query + 1];
  }

  // The keys of a tile that are active for a query with whatever probability: bit j is key
  // 64 * tile + j.
  MASKERADE_HOST_DEVICE std::uint64_t support_word(std::int64_t slice,
                                                   std::int64_t query,
                                                   std::int64_t tile) const {
    std::uint64_t bits = word(slice, query, tile);
    if (!has_sampled()) return bits;
    const std::int64_t first_key = tile * kTileKeys;
    const std::int64_t end = sampled_end(slice, query);
    for (std::int64_t s = first_sampled(slice, query, first_key);
         s < end && sampled_keys[s] < first_key + kTileKeys; ++s) {
      bits |= std::uint64_t{1} << (sampled_keys[s] - first_key);
    }
    return bits;
  }

  // The inclusion probability of an active entry: that of a sampled entry, else 1. Requires
  // has_sampled().
  MASKERADE_HOST_DEVICE float sampled_probability(std::int64_t slice,
                                                  std::int64_t query,
                                                  std::int64_t key) const {
    const std::int64_t s = first_sampled(slice, query, key);
    const bool is_sampled = s < sampled_end(slice, query) && sampled_keys[s] == key;
    return is_sampled ? sampled_probabilities[s] : 1.0F;
  }
};

// Computes MaskView::ranks from the bitmaps. One call for each tile row.
struct FindRanks {
  std::int64_t words;         // of one bitmap of a tile row
  const std::uint64_t* any;   // [tile rows][words]
  const std::uint64_t* full;  // [tile rows][words]
  std::int32_t* ranks;        // [tile rows][words] result

  MASKERADE_HOST_DEVICE void operator()(std::int64_t tile_row) const {
    std::int32_t rank = 0;
    for (std::int64_t at = tile_row * words; at < (tile_row + 1) * words; ++at) {
      ranks[at] = rank;
      rank += popcount(any[at] & ~full[at]);
    }
  }
};

}  // namespace maskerade::cuda
