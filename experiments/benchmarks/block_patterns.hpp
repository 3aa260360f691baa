#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "framework/mask/mask.hpp"

namespace maskerade {

// Masks of whole blocks of 64 tokens over `blocks` query and key blocks, one for all heads, nothing
// hidden.

// Block row i has the blocks j with |i - j| <= window_blocks.
Mask block_local_mask(std::int64_t blocks, std::int64_t window_blocks);
// Block row i has block i and the blocks j with |i - j| in rates.
Mask block_dilated_mask(std::int64_t blocks, std::span<const std::int64_t> rates);
// Each block row has `per_row` blocks: its own, and others drawn at random.
Mask random_block_mask(std::int64_t blocks, std::int64_t per_row, std::uint64_t seed);

// How many of `blocks` blocks a row keeps for a density: rounded, at least one.
std::int64_t blocks_per_row(std::int64_t blocks, double density);

}  // namespace maskerade
