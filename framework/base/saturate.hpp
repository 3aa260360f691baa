#pragma once

#include <concepts>
#include <limits>

// Sums and products of counts (integers from 0) that stop at the largest number instead of
// overflowing.
namespace maskerade {

template <std::integral Count>
constexpr Count saturating_sum(Count a, Count b) noexcept {
  Count sum = 0;
  return __builtin_add_overflow(a, b, &sum) ? std::numeric_limits<Count>::max() : sum;
}

template <std::integral Count>
constexpr Count saturating_product(Count a, Count b) noexcept {
  Count product = 0;
  return __builtin_mul_overflow(a, b, &product) ? std::numeric_limits<Count>::max() : product;
}

}  // namespace maskerade
