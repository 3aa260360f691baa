// Tests of random selections: what they should do against what they did, as probabilities. A
// statistical test states its statistic here, runs on fixed seeds, and fails below kFamilyAlpha
// for all that it looks at together; its twin plants an error of 10 % and must fail.
#pragma once

#include <cstdint>
#include <span>

namespace maskerade::statistics {

// The probability with which a right implementation fails a test, all of its parts together.
inline constexpr double kFamilyAlpha = 1e-6;

// Draws without replacement, `drawn` of n = counts.size() keys in each of `samples` draws;
// counts[k] says how often key k was drawn. The statistic sum of (c - S p)^2 / (S p (1 - p)) * (n -
// 1) / n, p = drawn / n, is chi-square with n - 1 degrees of freedom for large S. The probability
// of one as large or larger.
double uniform_draws_p_value(std::span<const std::int64_t> counts,
                             std::int64_t samples,
                             std::int64_t drawn);

// Keys that may depend on each other, key k drawn with probability probabilities[k] in each of
// `samples` draws. The smallest two-sided exact binomial probability (twice the smaller tail) times
// the number of keys (Bonferroni), at most 1.
double inclusion_p_value(std::span<const std::int64_t> counts,
                         std::int64_t samples,
                         std::span<const double> probabilities);

// One sum of a sample of independent values.
struct Moments {
  std::int64_t count = 0;
  double mean = 0;
  double squares = 0;  // of distances from the mean

  // Welford's update.
  void add(double value) {
    ++count;
    const double distance = value - mean;
    mean += distance / static_cast<double>(count);
    squares += distance * (value - mean);
  }
};

// The two-sided probability that the mean is as far from `expected` as it is: Student's t. A sample
// without spread has it 1 when its mean is `expected` within 1e-9 of it, else 0.
double mean_p_value(const Moments& sample, double expected);
// The smallest of these times their number (Bonferroni), at most 1.
double means_p_value(std::span<const Moments> samples, std::span<const double> expected);

}  // namespace maskerade::statistics
