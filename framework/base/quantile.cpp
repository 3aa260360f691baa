#include "framework/base/quantile.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>

namespace maskerade {

double quantile_in_place(std::span<double> samples, double q) {
  const double rank = q * static_cast<double>(samples.size() - 1);
  const double below = std::floor(rank);
  const auto place = samples.begin() + static_cast<std::ptrdiff_t>(below);
  std::nth_element(samples.begin(), place, samples.end());
  const double low = *place;
  if (rank == below) return low;
  const double high = *std::min_element(place + 1, samples.end());
  // Infinite samples must not turn into NaN by being subtracted.
  return low == high ? low : low + (rank - below) * (high - low);
}

}  // namespace maskerade
