#include "experiments/benchmarks/block_patterns.hpp"

#include <algorithm>
#include <cmath>
#include <functional>
#include <numeric>

#include "experiments/benchmarks/random_values.hpp"
#include "framework/mask/conversions.hpp"

namespace maskerade {
namespace {

constexpr std::int64_t kBlock = 64;

Mask block_mask(std::int64_t blocks,
                const std::function<bool(std::int64_t row, std::int64_t column)>& active) {
  BlockMask table{.block = kBlock, .query_blocks = blocks, .key_blocks = blocks};
  for (std::int64_t i = 0; i < blocks; ++i) {
    for (std::int64_t j = 0; j < blocks; ++j) table.active.push_back(active(i, j) ? 1 : 0);
  }
  return from_blocks(Visibility::all(blocks * kBlock, blocks * kBlock), {}, table);
}

}  // namespace

Mask block_local_mask(std::int64_t blocks, std::int64_t window_blocks) {
  return block_mask(
      blocks, [=](std::int64_t i, std::int64_t j) { return std::abs(i - j) <= window_blocks; });
}

Mask block_dilated_mask(std::int64_t blocks, std::span<const std::int64_t> rates) {
  return block_mask(blocks, [=](std::int64_t i, std::int64_t j) {
    return i == j || std::find(rates.begin(), rates.end(), std::abs(i - j)) != rates.end();
  });
}

Mask random_block_mask(std::int64_t blocks, std::int64_t per_row, std::uint64_t seed) {
  std::vector<std::uint8_t> active(static_cast<std::size_t>(blocks * blocks));
  std::vector<std::int64_t> order(static_cast<std::size_t>(blocks));
  for (std::int64_t i = 0; i < blocks; ++i) {
    std::iota(order.begin(), order.end(), 0);
    // The blocks with the smallest numbers are taken; the row's own block has the smallest of all.
    const auto number = [&](std::int64_t j) {
      return j == i ? -1.0 : random_uniform(seed, static_cast<std::uint64_t>(i * blocks + j));
    };
    std::sort(order.begin(), order.end(),
              [&](std::int64_t a, std::int64_t b) { return number(a) < number(b); });
    for (std::int64_t n = 0; n < per_row; ++n) {
      active[static_cast<std::size_t>(i * blocks + order[static_cast<std::size_t>(n)])] = 1;
    }
  }
  return block_mask(blocks, [&](std::int64_t i, std::int64_t j) {
    return active[static_cast<std::size_t>(i * blocks + j)] != 0;
  });
}

std::int64_t blocks_per_row(std::int64_t blocks, double density) {
  return std::max<std::int64_t>(1, std::llround(static_cast<double>(blocks) * density));
}

}  // namespace maskerade
