#pragma once

#include <cstdint>
#include <vector>

namespace maskerade {

// The size of the masks of the published operations, which have one batch entry and one query.
struct MaskSize {
  std::int64_t heads = 32;
  std::int64_t key_len = 32768;

  std::int64_t entries() const noexcept { return heads * key_len; }
};

// Returns the weights [heads, key_len] of a random mask. An entry is active with probability
// `density`; inactive ones have weight 0, active ones 1. If `sampled`, half of the active ones,
// drawn at random, have a probability in [0.02, 0.92) instead.
std::vector<float> random_mask_weights(const MaskSize& size,
                                       double density,
                                       bool sampled,
                                       std::uint64_t seed);

// The densities of the masks: three from the published tables, and two that the published text
// names without having measured them.
inline constexpr double kMaskDensities[] = {0.9, 0.5, 0.1, 0.01, 0.001};
// The density of the other operand of a union or merge whose first operand has `density`; as in the
// published tables.
constexpr double partner_density(double density) { return density == 0.9 ? 0.85 : density; }

}  // namespace maskerade
