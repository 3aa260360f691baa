#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace maskerade {

// Finds the `count` highest of scores[0 .. n). Candidates are the indices whose bit in `excluded`
// is 0 (bit i % 64 of word i / 64; an empty span excludes none). count is clipped to the
// candidates; <= 0 gives none. Equal scores: the lower index first; -0 and 0 are equal; NaN counts
// as -infinity. Exact and deterministic.
//
// An object serves one thread, for many calls; its memory is reused.
class TopK {
 public:
  // As bits: bit i % 64 of word i / 64, (n + 63) / 64 words. Valid until the next call.
  std::span<const std::uint64_t> select_bits(std::span<const float> scores,
                                             std::span<const std::uint64_t> excluded,
                                             std::int64_t count);
  // As ascending indices. Valid until the next call.
  std::span<const std::int32_t> select(std::span<const float> scores,
                                       std::span<const std::uint64_t> excluded,
                                       std::int64_t count);

 private:
  std::vector<std::uint64_t> bits_;
  std::vector<float> values_;
  std::vector<std::int32_t> indices_;
};

}  // namespace maskerade
