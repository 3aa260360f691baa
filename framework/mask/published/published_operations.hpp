#pragma once

#include <span>
#include <vector>

#include "framework/base/parallel.hpp"
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

// result = x * p per entry; 0 where inactive. x and result: [batch, heads, query_len, key_len],
// float32; result may be x. A mask flagged full gives x. Throws ShapeError when the sizes differ;
// so do the others.
void apply_mask(const PublishedMask& mask,
                std::span<const float> x,
                std::span<float> result,
                const PublishedRules& rules = {},
                const Threads& threads = Threads(1));

// result = x / p per entry; 0 where inactive.
void apply_inv_mask(const PublishedMask& mask,
                    std::span<const float> x,
                    std::span<float> result,
                    const PublishedRules& rules = {},
                    const Threads& threads = Threads(1));

// The same, in new memory.
std::vector<float> apply_mask(const PublishedMask& mask,
                              std::span<const float> x,
                              const PublishedRules& rules = {});
std::vector<float> apply_inv_mask(const PublishedMask& mask,
                                  std::span<const float> x,
                                  const PublishedRules& rules = {});

// min(p + p', 1) per entry. Flagged full when an operand is, flagged empty when both are.
PublishedMask merge(const PublishedMask& a, const PublishedMask& b);

}  // namespace maskerade
