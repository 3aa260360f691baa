#pragma once

#include <cstdint>
#include <vector>

namespace maskerade {

// The masks of the published operations: (batch 1, heads, query_len 1, key_len).
struct MaskSize {
  std::int64_t heads = 32;
  std::int64_t key_len = 32768;

  std::int64_t entries() const noexcept { return heads * key_len; }
};

// Weights of a random mask [heads, key_len]: an entry is active with probability `density`. Active
// entries are 1, or every second one, if sampled, a probability in [0.02, 0.92).
std::vector<float> random_mask_weights(const MaskSize& size,
                                       double density,
                                       bool sampled,
                                       std::uint64_t seed);

// The densities of the published tables and two that their note names but never measured.
inline constexpr double kMaskDensities[] = {0.9, 0.5, 0.1, 0.01, 0.001};
// The density of the mask that one of `density` is merged with, as published.
constexpr double partner_density(double density) { return density == 0.9 ? 0.85 : density; }

}  // namespace maskerade
