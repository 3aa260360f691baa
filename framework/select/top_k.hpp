#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace maskerade {

// The `count` highest of scores[0 .. n), as ascending indices into scores. Candidates are the
// indices whose bit in `excluded` is 0 (bit i % 64 of word i / 64; an empty span excludes none).
// count is clipped to the candidates; <= 0 gives none. Equal scores: the lower index first; -0 and
// 0 are equal; NaN counts as -infinity. Exact and deterministic. [any thread]
void select_top_k(std::span<const float> scores,
                  std::span<const std::uint64_t> excluded,
                  std::int64_t count,
                  std::vector<std::int32_t>& indices);

}  // namespace maskerade
