#pragma once

#include <span>
#include <vector>

#include "framework/base/parallel.hpp"
#include "framework/mask/published/published_mask.hpp"

namespace maskerade {

// Where the published code departs from the definition in the comments below. The default departs
// nowhere.
struct PublishedRules {
  // Above 0, apply_inv_mask() multiplies by 1 / (p + inverse_epsilon) instead of dividing by p.
  float inverse_epsilon = 0.0F;
  // If true, a flagged-empty mask means "no mask yet" and leaves x as it is; if false, it clears x
  // as any empty mask does.
  bool empty_passes = false;

  // The rules of sparse-attention-hub.
  static PublishedRules as_published() noexcept { return {1e-6F, true}; }
};

// Multiplies each entry of x by its weight p in the mask; inactive entries become 0, and a mask
// flagged full leaves x as it is. x and result are [batch, heads, query_len, key_len], and may be
// the same memory. All functions here throw ShapeError when sizes do not fit.
void apply_mask(const PublishedMask& mask,
                std::span<const float> x,
                std::span<float> result,
                const PublishedRules& rules = {},
                const Threads& threads = Threads(1));

// Divides each entry of x by its weight p in the mask; inactive entries become 0, and a mask
// flagged full leaves x as it is.
void apply_inv_mask(const PublishedMask& mask,
                    std::span<const float> x,
                    std::span<float> result,
                    const PublishedRules& rules = {},
                    const Threads& threads = Threads(1));

// Like the functions above, on one thread and with the result in new memory.
std::vector<float> apply_mask(const PublishedMask& mask,
                              std::span<const float> x,
                              const PublishedRules& rules = {});
std::vector<float> apply_inv_mask(const PublishedMask& mask,
                                  std::span<const float> x,
                                  const PublishedRules& rules = {});

// The published union: each entry has the weight min(p + p', 1). It is flagged full when an operand
// is, and flagged empty when both are.
PublishedMask merge(const PublishedMask& a, const PublishedMask& b);

}  // namespace maskerade
