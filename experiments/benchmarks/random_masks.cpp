#include "experiments/benchmarks/random_masks.hpp"

#include "experiments/benchmarks/random_values.hpp"

namespace maskerade {

std::vector<float> random_mask_weights(const MaskSize& size,
                                       double density,
                                       bool sampled,
                                       std::uint64_t seed) {
  std::vector<float> weights(static_cast<std::size_t>(size.entries()));
  for (std::size_t i = 0; i < weights.size(); ++i) {
    if (random_uniform(seed, i) >= density) continue;
    const bool below_one = sampled && random_uniform(seed + 1000, i) < 0.5;
    weights[i] = below_one ? static_cast<float>(0.02 + 0.9 * random_uniform(seed + 2000, i)) : 1.0F;
  }
  return weights;
}

}  // namespace maskerade
