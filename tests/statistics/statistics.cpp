#include "tests/statistics/statistics.hpp"

#include <algorithm>
#include <boost/math/distributions/binomial.hpp>
#include <boost/math/distributions/chi_squared.hpp>
#include <boost/math/distributions/students_t.hpp>
#include <cmath>

namespace maskerade::statistics {

namespace math = boost::math;

double uniform_draws_p_value(std::span<const std::int64_t> counts,
                             std::int64_t samples,
                             std::int64_t drawn) {
  const auto n = static_cast<double>(counts.size());
  const double p = static_cast<double>(drawn) / n;
  const double expected = static_cast<double>(samples) * p;
  double statistic = 0;
  for (const std::int64_t count : counts) {
    statistic += std::pow(static_cast<double>(count) - expected, 2) / (expected * (1 - p));
  }
  return math::cdf(complement(math::chi_squared(n - 1), statistic * (n - 1) / n));
}

double inclusion_p_value(std::span<const std::int64_t> counts,
                         std::int64_t samples,
                         std::span<const double> probabilities) {
  double smallest = 1;
  for (std::size_t key = 0; key < counts.size(); ++key) {
    const math::binomial distribution(static_cast<double>(samples), probabilities[key]);
    const auto count = static_cast<double>(counts[key]);
    const double below = math::cdf(distribution, count);
    const double above = counts[key] == 0 ? 1.0 : math::cdf(complement(distribution, count - 1));
    smallest = std::min({smallest, 2 * below, 2 * above});
  }
  return std::min(1.0, smallest * static_cast<double>(counts.size()));
}

double mean_p_value(const Moments& sample, double expected) {
  const auto count = static_cast<double>(sample.count);
  const double error = std::sqrt(sample.squares / (count - 1) / count);
  const double distance = std::abs(sample.mean - expected);
  if (error <= 1e-12 * std::abs(expected)) return distance <= 1e-9 * std::abs(expected) ? 1 : 0;
  return 2 * math::cdf(complement(math::students_t(count - 1), distance / error));
}

double means_p_value(std::span<const Moments> samples, std::span<const double> expected) {
  double smallest = 1;
  for (std::size_t i = 0; i < samples.size(); ++i) {
    smallest = std::min(smallest, mean_p_value(samples[i], expected[i]));
  }
  return std::min(1.0, smallest * static_cast<double>(samples.size()));
}

}  // namespace maskerade::statistics
