#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "framework/base/philox.hpp"

namespace maskerade {

// Draws keys without replacement, by counter-based random numbers.
//
// An object belongs to one thread and reuses its memory from call to call.
class Draw {
 public:
  // Draws `count` of the candidates: those with the smallest (field.bits(row, key), key), so that a
  // smaller draw is part of a larger one. The candidates are the keys of [begin, end) whose bit in
  // `excluded` is 0; begin is a multiple of 64, and key k has bit k % 64 of word (k - begin) / 64.
  // Returns the keys ascending; all candidates when count is larger than their number, none when it
  // is <= 0. The result is the same on every machine and valid until the next call.
  std::span<const std::int32_t> select(const RandomField& field,
                                       std::uint64_t row,
                                       std::int64_t begin,
                                       std::int64_t end,
                                       std::span<const std::uint64_t> excluded,
                                       std::int64_t count);
  // The number of candidates in the last call.
  std::int64_t candidates() const noexcept { return candidates_; }

 private:
  std::vector<std::uint64_t> tickets_;  // (random number, key) as one integer, by ascending key
  std::vector<std::uint64_t> unsure_;   // tickets among which the largest drawn one lies
  std::vector<std::int32_t> keys_;
  std::int64_t candidates_ = 0;
};

}  // namespace maskerade
