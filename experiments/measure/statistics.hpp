#pragma once

#include <cstdint>
#include <span>

namespace maskerade {

// The median of repeated measurements and how well it is known.
struct Summary {
  double median = 0;
  double lo = 0;  // 95 % confidence interval of the median, see summarize
  double hi = 0;
  double min = 0;
  std::int64_t repetitions = 0;

  // Half the interval's width over the median; infinity for fewer than two samples, which say
  // nothing about spread.
  double relative_half_width() const noexcept;
};

// The interval runs between two order statistics, whose ranks follow from the binomial distribution
// of the samples below the median; it assumes no shape of the timings' distribution. Fewer than six
// samples cannot reach 95 %: the interval is then min ... max. Throws Error when samples is empty.
Summary summarize(std::span<const double> samples);

// The rank r, from 1, such that the r-th smallest and the r-th largest of n samples enclose the
// median with at least 95 % confidence: the largest r with P(Binomial(n, 1/2) < r) <= 2.5 %, at
// least 1.
std::int64_t median_interval_rank(std::int64_t n);

// The q-quantile, 0 <= q <= 1, linear between order statistics (Hyndman and Fan's type 7). Throws
// Error when samples is empty.
double quantile(std::span<const double> samples, double q);

// The exact (Clopper and Pearson) one-sided bounds of a probability after `successes` of `trials`:
// each is passed by with probability 1 - confidence.
double binomial_lower_bound(std::int64_t successes, std::int64_t trials, double confidence);
double binomial_upper_bound(std::int64_t successes, std::int64_t trials, double confidence);

}  // namespace maskerade
