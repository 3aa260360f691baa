#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace maskerade {

// Finds the `count` highest of n scores, exactly. Only candidates are taken: the indices whose bit
// in `excluded` is 0, where index i has bit i % 64 of word i / 64; an empty span excludes none. All
// candidates are taken when count is larger than their number, none when it is <= 0. Of equal
// scores the one with the lower index is taken first; -0 equals 0, and NaN counts as -infinity.
//
// An object belongs to one thread and reuses its memory from call to call.
class TopK {
 public:
  // The indices that are taken, as (n + 63) / 64 words: index i is bit i % 64 of word i / 64. Valid
  // until the next call.
  std::span<const std::uint64_t> select_bits(std::span<const float> scores,
                                             std::span<const std::uint64_t> excluded,
                                             std::int64_t count);
  // The indices that are taken, ascending. Valid until the next call.
  std::span<const std::int32_t> select(std::span<const float> scores,
                                       std::span<const std::uint64_t> excluded,
                                       std::int64_t count);

 private:
  std::vector<std::uint64_t> bits_;
  std::vector<float> values_;
  std::vector<std::int32_t> indices_;
};

}  // namespace maskerade
