#include "framework/base/quantile.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>

namespace maskerade {

double quantile_in_place(std::span<double> samples, double q) {
  return quantile_in_place(samples, 1, q);
}

double quantile_in_place(std::span<double> samples, std::int64_t copies, double q) {
  const double rank =
      q * static_cast<double>(static_cast<std::int64_t>(samples.size()) * copies - 1);
  const double whole_rank = std::floor(rank);
  const std::int64_t of_copies = static_cast<std::int64_t>(whole_rank);
  const auto lower = samples.begin() + static_cast<std::ptrdiff_t>(of_copies / copies);
  std::nth_element(samples.begin(), lower, samples.end());
  const double low = *lower;
  if (rank == whole_rank || (of_copies + 1) / copies == of_copies / copies) return low;
  const double high = *std::min_element(lower + 1, samples.end());
  // Two equal infinities would give NaN when one is subtracted from the other.
  return low == high ? low : low + (rank - whole_rank) * (high - low);
}

}  // namespace maskerade
