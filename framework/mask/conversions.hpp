#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "framework/mask/mask.hpp"

namespace maskerade {

// Conversions between masks and the forms of the field. All check sizes and ranges and throw
// ShapeError with the offending index. Entries that the visibility hides are dropped on the way in.

// Dense inclusion probabilities [batch, heads, query_len, key_len] in [0, 1]; 0 is inactive. The
// only conversion that allocates rows x keys.
std::vector<float> to_dense(const Mask& mask);
Mask from_dense(const Visibility& visibility, MaskExtent extent, std::span<const float> weights);

// Compressed rows: the entries of row r = (b * heads + h) * query_len + i are
// keys[offsets[r] .. offsets[r + 1]), ascending, with their probabilities.
struct CompressedRows {
  std::vector<std::int64_t> offsets;  // [rows + 1]
  std::vector<std::int32_t> keys;
  std::vector<float> probabilities;  // one per key
};
CompressedRows to_compressed_rows(const Mask& mask);
// keys may be unsorted within a row; a key twice in a row is an error. probabilities may be empty:
// all 1.
Mask from_compressed_rows(const Visibility& visibility,
                          MaskExtent extent,
                          std::span<const std::int64_t> offsets,
                          std::span<const std::int32_t> keys,
                          std::span<const float> probabilities);

// Flat indices r * key_len + key over all rows, ascending, with probabilities (may be empty on the
// way in: all 1).
struct FlatEntries {
  std::vector<std::int64_t> indices;
  std::vector<float> probabilities;
};
FlatEntries to_flat(const Mask& mask);
Mask from_flat(const Visibility& visibility,
               MaskExtent extent,
               std::span<const std::int64_t> indices,
               std::span<const float> probabilities);

// Blocks of block x block tokens in absolute positions: active[b][h][i][j] covers the queries whose
// position / block is first_block + i, first_block = position(0) / block, and keys j * block on.
struct BlockMask {
  std::int64_t block = 64;
  std::int64_t query_blocks = 0;
  std::int64_t key_blocks = 0;
  std::vector<std::uint8_t> active;  // [batch, heads, query_blocks, key_blocks]
};
Mask from_blocks(const Visibility& visibility, MaskExtent extent, const BlockMask& blocks);
// A block is active when one of its visible entries is.
BlockMask to_blocks(const Mask& mask, std::int64_t block);

}  // namespace maskerade
