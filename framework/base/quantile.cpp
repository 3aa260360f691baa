#include "framework/base/quantile.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>

namespace maskerade {

double quantile_in_place(std::span<double> samples, double q) {
  const double rank = q * static_cast<double>(samples.size() - 1);
  const double whole_rank = std::floor(rank);
  const auto lower = samples.begin() + static_cast<std::ptrdiff_t>(whole_rank);
  std::nth_element(samples.begin(), lower, samples.end());
  const double low = *lower;
  if (rank == whole_rank) return low;
  const double high = *std::min_element(lower + 1, samples.end());
  // Two equal infinities would give NaN when one is subtracted from the other.
  return low == high ? low : low + (rank - whole_rank) * (high - low);
}

}  // namespace maskerade
