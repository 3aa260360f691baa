#include "experiments/measure/statistics.hpp"

#include <algorithm>
#include <boost/math/distributions/binomial.hpp>
#include <cmath>
#include <limits>
#include <numbers>
#include <vector>

#include "framework/base/error.hpp"
#include "framework/base/quantile.hpp"

namespace maskerade {
namespace {

// The samples in ascending order; all NaN if one of them is.
std::vector<double> sorted_copy(std::span<const double> samples) {
  if (samples.empty()) throw Error("statistics of no samples");
  std::vector<double> sorted(samples.begin(), samples.end());
  // Rationale: one undefined sample makes every statistic undefined, rather than hiding in an order
  // that NaN does not have.
  if (std::any_of(sorted.begin(), sorted.end(), [](double sample) { return std::isnan(sample); })) {
    std::fill(sorted.begin(), sorted.end(), std::numeric_limits<double>::quiet_NaN());
    return sorted;
  }
  std::sort(sorted.begin(), sorted.end());
  return sorted;
}

}  // namespace

double Summary::relative_half_width() const noexcept {
  if (!lo || !hi) return std::numeric_limits<double>::infinity();
  if (*hi == *lo) return 0;
  return median > 0 ? (*hi - *lo) / 2 / median : std::numeric_limits<double>::infinity();
}

std::int64_t median_interval_rank(std::int64_t n) {
  const double size = static_cast<double>(n);
  std::int64_t rank = 1;
  double below = 0;  // P(Binomial(n, 1/2) < rank + 1)
  for (std::int64_t k = 0; 2 * k < n; ++k) {
    // Rationale: logarithms, because 2^-n underflows to 0 for n above 1074.
    const double value = static_cast<double>(k);
    below += std::exp(std::lgamma(size + 1) - std::lgamma(value + 1) -
                      std::lgamma(size - value + 1) - size * std::numbers::ln2);
    if (below > 0.025) break;
    rank = k + 1;
  }
  return rank;
}

Summary summarize(std::span<const double> samples) {
  std::vector<double> sorted = sorted_copy(samples);
  const std::int64_t n = static_cast<std::int64_t>(sorted.size());
  Summary summary{.min = sorted.front(), .repetitions = n};
  if (n >= kLeastSamplesOfInterval) {
    const std::size_t rank = static_cast<std::size_t>(median_interval_rank(n));
    summary.lo = sorted[rank - 1];
    summary.hi = sorted[sorted.size() - rank];
  }
  summary.median = quantile_in_place(sorted, 0.5);
  return summary;
}

double quantile(std::span<const double> samples, double q) {
  std::vector<double> sorted = sorted_copy(samples);
  return quantile_in_place(sorted, q);
}

Spread mean_and_deviation(std::span<const double> values) {
  if (values.empty()) throw Error("statistics of no values");
  const auto count = static_cast<double>(values.size());
  Spread spread;
  for (const double value : values) spread.mean += value / count;
  if (values.size() == 1) return spread;
  double squares = 0;
  for (const double value : values) squares += (value - spread.mean) * (value - spread.mean);
  const double deviation = std::sqrt(squares / (count - 1));
  // Rationale: equal numbers must not show the rounding of their mean.
  if (!(deviation <= 1e-12 * std::abs(spread.mean))) spread.deviation = deviation;
  return spread;
}

double binomial_lower_bound(std::int64_t successes, std::int64_t trials, double confidence) {
  return boost::math::binomial::find_lower_bound_on_p(
      static_cast<double>(trials), static_cast<double>(successes), 1 - confidence);
}

double binomial_upper_bound(std::int64_t successes, std::int64_t trials, double confidence) {
  return boost::math::binomial::find_upper_bound_on_p(
      static_cast<double>(trials), static_cast<double>(successes), 1 - confidence);
}

}  // namespace maskerade
