#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "framework/base/philox.hpp"

namespace maskerade {

// Draws without replacement by counter-based random numbers.
//
// An object serves one thread, for many calls; its memory is reused.
class Draw {
 public:
  // Of the candidates among keys [begin, end), begin a multiple of 64, the `count` with the
  // smallest (field.bits(row, key), key), ascending by key; count is clipped to the candidates, <=
  // 0 gives none. Candidates are the keys whose bit in `excluded` is 0 (bit k % 64 of word (k -
  // begin) / 64; bits past the end do not count). Exact, and the same on every instruction set.
  // Valid until the next call.
  std::span<const std::int32_t> select(const RandomField& field,
                                       std::uint64_t row,
                                       std::int64_t begin,
                                       std::int64_t end,
                                       std::span<const std::uint64_t> excluded,
                                       std::int64_t count);
  // The candidates of the last call.
  std::int64_t candidates() const noexcept { return candidates_; }

 private:
  std::vector<std::uint64_t> tickets_;  // (random number, key) as one integer, by ascending key
  std::vector<std::uint64_t> unsure_;   // those that may be the last one drawn
  std::vector<std::int32_t> keys_;
  std::int64_t candidates_ = 0;
};

}  // namespace maskerade
