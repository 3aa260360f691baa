#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "framework/mask/mask.hpp"

namespace maskerade {

// Conversions between a mask and the forms that other sparse-attention code uses. All arrays are in
// host memory and owned by the caller. Every conversion to a mask checks sizes and ranges, throws
// ShapeError with the index of what is wrong, and drops entries that are not visible.

// Inclusion probabilities [batch, heads, query_len, key_len], each in [0, 1]; 0 means inactive.
// This is the only form whose memory is rows x keys.
std::vector<float> to_dense(const Mask& mask);
Mask from_dense(const Visibility& visibility, MaskExtent extent, std::span<const float> weights);

// Compressed sparse rows (CSR): the active keys of row r = (b * heads + h) * query_len + i are
// keys[offsets[r] .. offsets[r + 1]), ascending, and probabilities[...] at the same places are
// their inclusion probabilities, in (0, 1].
struct CompressedRows {
  std::vector<std::int64_t> offsets;  // [rows + 1]
  std::vector<std::int32_t> keys;
  std::vector<float> probabilities;  // [keys.size()]
};
CompressedRows to_compressed_rows(const Mask& mask);
// The keys of a row may come in any order; a key that a row has twice is an error. Without
// probabilities (an empty span) all are 1.
Mask from_compressed_rows(const Visibility& visibility,
                          MaskExtent extent,
                          std::span<const std::int64_t> offsets,
                          std::span<const std::int32_t> keys,
                          std::span<const float> probabilities);

// The active entries of all rows as flat indices r * key_len + key, with one inclusion probability
// each. to_flat() gives the indices ascending; from_flat() takes them in any order, each once, and
// without probabilities (an empty span) all are 1.
struct FlatEntries {
  std::vector<std::int64_t> indices;
  std::vector<float> probabilities;
};
FlatEntries to_flat(const Mask& mask);
Mask from_flat(const Visibility& visibility,
               MaskExtent extent,
               std::span<const std::int64_t> indices,
               std::span<const float> probabilities);

// A mask of square blocks that lie at absolute positions. Block (i, j) covers the queries with
// floor(position / block) = floor(position of query 0 / block) + i, and the keys
// [j * block, (j + 1) * block).
struct BlockMask {
  std::int64_t block = 64;  // tokens along either side of a block
  std::int64_t query_blocks = 0;
  std::int64_t key_blocks = 0;
  std::vector<std::uint8_t> active;  // [batch, heads, query_blocks, key_blocks]; 0: inactive
};
// Every visible entry of an active block is active.
Mask from_blocks(const Visibility& visibility, MaskExtent extent, const BlockMask& blocks);
// A block of `block` x `block` tokens is active when one of its visible entries is.
BlockMask to_blocks(const Mask& mask, std::int64_t block);

}  // namespace maskerade
