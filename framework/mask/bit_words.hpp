#pragma once

#include <cstdint>

namespace maskerade::detail {

// Bits 0 ... count - 1; none for count <= 0.
inline std::uint64_t low_bits(std::int64_t count) {
  if (count >= 64) return ~std::uint64_t{0};
  return count <= 0 ? 0 : (std::uint64_t{1} << count) - 1;
}

// The bits set in `count` words.
std::int64_t count_bits(const std::uint64_t* words, std::int64_t count);
// The runs of set bits in `count` words, each word by itself.
std::int64_t count_runs(const std::uint64_t* words, std::int64_t count);

}  // namespace maskerade::detail
