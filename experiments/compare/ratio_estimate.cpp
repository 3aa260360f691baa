#include "experiments/compare/ratio_estimate.hpp"

#include <algorithm>
#include <array>
#include <boost/math/distributions/students_t.hpp>
#include <cmath>
#include <vector>

#include "experiments/measure/statistics.hpp"
#include "framework/base/philox.hpp"
#include "framework/base/quantile.hpp"

namespace maskerade::compare {
namespace {

constexpr int kResamples = 400;
// See estimate_of_pairs().
constexpr double kShareOfFreedom = 0.8;

// Places drawn at random, from 0 to below a count.
class Places {
 public:
  explicit Places(std::uint64_t seed)
      : key_{static_cast<std::uint32_t>(seed), static_cast<std::uint32_t>(seed >> 32)} {}
  std::size_t next(std::size_t count) {
    const std::uint64_t word = philox({drawn_++, 0, 0, 0}, key_)[0];
    return static_cast<std::size_t>((word * count) >> 32);
  }

 private:
  std::array<std::uint32_t, 2> key_;
  std::uint32_t drawn_ = 0;
};

double log_of_median(std::vector<double>& samples) {
  return std::log(quantile_in_place(samples, 0.5));
}

}  // namespace

double RatioEstimate::ratio() const { return std::exp(log); }

RatioInterval RatioEstimate::interval(double confidence) const {
  const boost::math::students_t t(degrees_of_freedom);
  const double half = standard_error * boost::math::quantile(t, (1 + confidence) / 2);
  return {.lo = std::exp(log - half), .hi = std::exp(log + half)};
}

double RatioEstimate::p_of_equality() const {
  if (standard_error == 0) return log == 0 ? 1 : 0;
  const boost::math::students_t t(degrees_of_freedom);
  return 2 * boost::math::cdf(boost::math::complement(t, std::abs(log) / standard_error));
}

std::optional<RatioEstimate> estimate_of_pairs(std::span<const double> log_ratios) {
  const std::size_t count = log_ratios.size();
  if (count < kLeastPairs) return std::nullopt;
  std::vector<double> sorted(log_ratios.begin(), log_ratios.end());
  std::sort(sorted.begin(), sorted.end());
  const std::size_t cut = count / 4;  // at either end
  const std::size_t kept = count - 2 * cut;
  RatioEstimate estimate;
  for (std::size_t i = cut; i < count - cut; ++i) {
    estimate.log += sorted[i] / static_cast<double>(kept);
  }
  std::fill_n(sorted.begin(), cut, sorted[cut]);
  std::fill_n(sorted.rbegin(), cut, sorted[count - 1 - cut]);
  const double deviation = mean_and_deviation(sorted).deviation;
  const auto size = static_cast<double>(count);
  const auto middle = static_cast<double>(kept);
  estimate.standard_error = deviation * std::sqrt((size - 1) / (middle * (middle - 1)));
  estimate.degrees_of_freedom = kShareOfFreedom * (middle - 1);
  return estimate;
}

std::optional<RatioEstimate> estimate_of_runs(std::span<const double> a_logs,
                                              std::span<const double> b_logs) {
  if (a_logs.size() < 2 || b_logs.size() < 2) return std::nullopt;
  const Spread a = mean_and_deviation(a_logs);
  const Spread b = mean_and_deviation(b_logs);
  const double a_others = static_cast<double>(a_logs.size()) - 1;
  const double b_others = static_cast<double>(b_logs.size()) - 1;
  const double a_share = a.deviation * a.deviation / (a_others + 1);
  const double b_share = b.deviation * b.deviation / (b_others + 1);
  const double both = a_share + b_share;
  RatioEstimate estimate{.log = b.mean - a.mean, .standard_error = std::sqrt(both)};
  estimate.degrees_of_freedom =
      both > 0 ? both * both / (a_share * a_share / a_others + b_share * b_share / b_others)
               : std::min(a_others, b_others);
  return estimate;
}

std::optional<double> bootstrap_error(std::span<const double> times_ms,
                                      std::span<const double> ruler_ms,
                                      std::uint64_t seed) {
  const std::size_t count = times_ms.size();
  const auto is_time = [](double ms) { return ms > 0; };
  if (count < static_cast<std::size_t>(kLeastSamplesOfInterval) ||
      !std::all_of(times_ms.begin(), times_ms.end(), is_time) ||
      !std::all_of(ruler_ms.begin(), ruler_ms.end(), is_time) ||
      (!ruler_ms.empty() && ruler_ms.size() != count)) {
    return std::nullopt;
  }
  const auto block = static_cast<std::size_t>(std::ceil(std::cbrt(static_cast<double>(count))));
  Places places(seed);
  std::vector<double> logs;
  std::vector<double> times;
  std::vector<double> ruler;
  for (int i = 0; i < kResamples; ++i) {
    times.clear();
    ruler.clear();
    while (times.size() < count) {
      const std::size_t begin = places.next(count);
      for (std::size_t j = begin; j < begin + block && times.size() < count; ++j) {
        times.push_back(times_ms[j % count]);
        if (!ruler_ms.empty()) ruler.push_back(ruler_ms[j % count]);
      }
    }
    logs.push_back(log_of_median(times) - (ruler.empty() ? 0 : log_of_median(ruler)));
  }
  return mean_and_deviation(logs).deviation;
}

}  // namespace maskerade::compare
