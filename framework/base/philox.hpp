#pragma once

#include <array>
#include <cstdint>

#include "framework/sdk/philox.hpp"

namespace maskerade {

using Philox = sdk::Philox;

// Philox 4x32-10, see sdk::philox: four random 32-bit words from a 128-bit counter and a 64-bit
// key.
std::array<std::uint32_t, 4> philox(const std::array<std::uint32_t, 4>& counter,
                                    const std::array<std::uint32_t, 2>& key) noexcept;

// What every random number of the project is a function of (design: randomness is counter-based).
using RandomKey = sdk::RandomKey;

// Random numbers for one RandomKey, addressed by (row, column): row is an absolute position, column
// a key or an element. [any thread]
class RandomField : public sdk::RandomWords {
 public:
  explicit RandomField(const RandomKey& key) noexcept : RandomWords(key) {}

  // The numbers of one row: those of column c are philox({c, counter...}, key).
  struct Row {
    std::array<std::uint32_t, 3> counter;
    std::array<std::uint32_t, 2> key;

    std::array<std::uint32_t, 4> block(std::uint32_t column) const noexcept;
  };
  Row of_row(std::uint64_t row) const noexcept;

  // Standard normal, by Box and Muller in float64.
  double normal(std::uint64_t row, std::uint32_t column) const noexcept;
};

}  // namespace maskerade
