#pragma once

#include <array>
#include <cstdint>

#include "framework/sdk/philox.hpp"

namespace maskerade {

using Philox = sdk::Philox;

// The four random 32-bit words that Philox 4x32-10 makes of a 128-bit counter and a 64-bit key,
// both given as words of 32 bits, the lowest first (see sdk::philox).
std::array<std::uint32_t, 4> philox(const std::array<std::uint32_t, 4>& counter,
                                    const std::array<std::uint32_t, 2>& key) noexcept;

// What selects one field of random numbers: seed, place in the pipeline, layer, batch, head and
// purpose. With (row, column) it determines each random number of the project.
using RandomKey = sdk::RandomKey;

// The random numbers of one RandomKey, each found by its (row, column) without computing any other:
// the row is an absolute position, the column is a key or an element. [any thread]
class RandomField : public sdk::RandomWords {
 public:
  explicit RandomField(const RandomKey& key) noexcept : RandomWords(key) {}

  // What Philox needs for the numbers of one row: those of column c are
  // philox({c, counter[0], counter[1], counter[2]}, key).
  struct Row {
    std::array<std::uint32_t, 3> counter;
    std::array<std::uint32_t, 2> key;

    // The four random words of a column.
    std::array<std::uint32_t, 4> block(std::uint32_t column) const noexcept;
  };
  Row of_row(std::uint64_t row) const noexcept;

  // A number of the standard normal distribution, by Box and Muller's method in float64.
  double normal(std::uint64_t row, std::uint32_t column) const noexcept;
};

}  // namespace maskerade
