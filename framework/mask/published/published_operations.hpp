#pragma once

#include <span>
#include <vector>

#include "framework/mask/published/published_mask.hpp"

namespace maskerade {

// Where the published code departs from the plain definition. The default is the definition.
struct PublishedRules {
  // apply_inv_mask multiplies by 1 / (p + inverse_epsilon); 0 divides by p exactly.
  float inverse_epsilon = 0.0F;
  // A flagged-empty mask leaves x as it is ("no mask yet"); false: it clears x, as any empty mask.
  bool empty_passes = false;

  // As sparse-attention-hub does.
  static PublishedRules as_published() noexcept { return {1e-6F, true}; }
};

// x * p per entry; 0 where inactive. x and the result: [batch, heads, query_len, key_len], float32.
// A mask flagged full returns x. Throws ShapeError when the sizes differ; so do the other two.
std::vector<float> apply_mask(const PublishedMask& mask,
                              std::span<const float> x,
                              const PublishedRules& rules = {});

// x / p per entry; 0 where inactive.
std::vector<float> apply_inv_mask(const PublishedMask& mask,
                                  std::span<const float> x,
                                  const PublishedRules& rules = {});

// min(p + p', 1) per entry. Flagged full when an operand is, flagged empty when both are.
PublishedMask merge(const PublishedMask& a, const PublishedMask& b);

}  // namespace maskerade
