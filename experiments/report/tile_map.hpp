#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "framework/mask/mask.hpp"

namespace maskerade {

// Queries or keys [begin, end).
struct IndexRange {
  std::int64_t begin = 0;
  std::int64_t end = 0;

  std::int64_t size() const noexcept { return end - begin; }
};

// The part of a mask that a map shows.
struct MapWindow {
  std::int64_t batch = 0;  // of the mask's own
  std::int64_t head = 0;   // likewise
  IndexRange queries;
  IndexRange keys;
};

// A mask as characters, each of which stands for the same number of queries and keys.
struct TileMap {
  std::int64_t queries_per_line = 1;
  std::int64_t keys_per_character = 1;
  // A line for each block of queries: the first query's number, the characters, and the density of
  // the line in percent, active / visible entries.
  std::vector<std::string> lines;
};

// The map of a window that is not empty, at most `width` characters wide and `most_lines` high.
// Characters by the share of the visible entries that are active: space nothing is visible, · none,
// ░ less than a quarter, ▒ less than three quarters, ▓ less than all, █ all. Sampled entries count
// as active.
TileMap tile_map(const Mask& mask,
                 const MapWindow& window,
                 std::size_t width,
                 std::size_t most_lines);

}  // namespace maskerade
