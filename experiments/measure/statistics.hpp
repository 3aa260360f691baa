#pragma once

#include <cstdint>
#include <optional>
#include <span>

namespace maskerade {

// Fewer samples have no 95 % interval: the extremes of five enclose the median with 94 % only.
inline constexpr std::int64_t kLeastSamplesOfInterval = 6;

// The median of repeated measurements, and how precisely it is known. The unit is that of the
// measurements.
struct Summary {
  double median = 0;
  // The 95 % confidence interval of the median, see summarize(). Absent where there is none.
  std::optional<double> lo = {};
  std::optional<double> hi = {};
  double min = 0;
  std::int64_t repetitions = 0;

  // Half the width of the interval, divided by the median. Infinity where there is no interval, and
  // for a median of 0 with an interval around it.
  double relative_half_width() const noexcept;
};

// Summarizes samples. The interval runs from the r-th smallest to the r-th largest sample, where r
// is median_interval_rank(). It assumes nothing about the distribution of the samples. Fewer than
// kLeastSamplesOfInterval have none. Everything is NaN if a sample is. Throws Error when there are
// no samples.
Summary summarize(std::span<const double> samples);

// The largest rank r, counted from 1, for which the r-th smallest and the r-th largest of n samples
// enclose the median with at least 95 % confidence: P(Binomial(n, 1/2) < r) <= 2.5 %. 1 if there is
// no such rank.
std::int64_t median_interval_rank(std::int64_t n);

// The q-quantile, 0 <= q <= 1, interpolated linearly between neighbouring samples (type 7 of
// Hyndman and Fan). NaN if a sample is. Throws Error when there are no samples.
double quantile(std::span<const double> samples, double q);

// The mean of values and their standard deviation (of a sample: over one less than their number).
struct Spread {
  double mean = 0;
  double deviation = 0;  // 0 for one value, and for equal ones
};
// Throws Error when there are no values.
Spread mean_and_deviation(std::span<const double> values);

// One-sided bounds of a probability after `successes` in `trials`, by Clopper and Pearson. The true
// probability lies beyond the bound with probability at most 1 - confidence.
double binomial_lower_bound(std::int64_t successes, std::int64_t trials, double confidence);
double binomial_upper_bound(std::int64_t successes, std::int64_t trials, double confidence);

}  // namespace maskerade
