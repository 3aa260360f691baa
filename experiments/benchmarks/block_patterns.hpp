#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "framework/mask/mask.hpp"

namespace maskerade {

// Masks of whole blocks of 64 x 64 tokens. They are not causal, are the same for all heads, and
// have `blocks` query blocks and as many key blocks.

// Row i of blocks has the blocks j with |i - j| <= window_blocks.
Mask block_local_mask(std::int64_t blocks, std::int64_t window_blocks);
// Row i of blocks has block i and the blocks j for which |i - j| is in `rates`.
Mask block_dilated_mask(std::int64_t blocks, std::span<const std::int64_t> rates);
// Each row of blocks has `per_row` blocks: the one on the diagonal, and others drawn at random.
Mask random_block_mask(std::int64_t blocks, std::int64_t per_row, std::uint64_t seed);

// How many of its `blocks` blocks a row has at a density: the nearest whole number, but at least 1.
std::int64_t blocks_per_row(std::int64_t blocks, double density);

}  // namespace maskerade
