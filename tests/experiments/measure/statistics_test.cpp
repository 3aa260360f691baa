#include "experiments/measure/statistics.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <random>
#include <vector>

#include "framework/base/error.hpp"

namespace maskerade {
namespace {

// The numbers 1 to n in a random order.
std::vector<double> one_to(int n) {
  std::vector<double> values(static_cast<std::size_t>(n));
  std::iota(values.begin(), values.end(), 1.0);
  std::shuffle(values.begin(), values.end(), std::mt19937(7));
  return values;
}

// The expected ranks were calculated from the exact binomial distribution in rational arithmetic.
TEST(MedianInterval, RanksFollowTheBinomialDistribution) {
  EXPECT_EQ(median_interval_rank(6), 1);
  EXPECT_EQ(median_interval_rank(8), 1);
  EXPECT_EQ(median_interval_rank(9), 2);
  EXPECT_EQ(median_interval_rank(10), 2);
  EXPECT_EQ(median_interval_rank(20), 6);
  EXPECT_EQ(median_interval_rank(30), 10);
  EXPECT_EQ(median_interval_rank(50), 18);
  EXPECT_EQ(median_interval_rank(100), 40);
  EXPECT_EQ(median_interval_rank(1000), 469);
}

TEST(MedianInterval, ManySamplesDoNotUnderflow) {
  // For large n the rank is n / 2 - 1.96 sqrt(n) / 2. 2^-n alone would underflow to 0.
  EXPECT_NEAR(static_cast<double>(median_interval_rank(100000)), 50000 - 309.9, 2);
}

TEST(Summary, OfTwentyValuesIsTheirOrderStatistics) {
  const Summary summary = summarize(one_to(20));
  EXPECT_EQ(summary.median, 10.5);
  EXPECT_EQ(summary.lo, 6);
  EXPECT_EQ(summary.hi, 15);
  EXPECT_EQ(summary.min, 1);
  EXPECT_EQ(summary.repetitions, 20);
  EXPECT_DOUBLE_EQ(summary.relative_half_width(), 4.5 / 10.5);
}

TEST(Summary, OfFewerThanSixValuesHasNoInterval) {
  for (int n = 1; n < 6; ++n) {
    const Summary summary = summarize(one_to(n));
    EXPECT_EQ(summary.median, static_cast<double>(n + 1) / 2);
    EXPECT_EQ(summary.min, 1);
    EXPECT_FALSE(summary.lo || summary.hi) << n;
    EXPECT_EQ(summary.relative_half_width(), std::numeric_limits<double>::infinity()) << n;
  }
}

TEST(Summary, OfSixValuesSpansThemAll) {
  const Summary summary = summarize(std::vector<double>{5, 1, 3, 2, 8, 4});
  EXPECT_EQ(summary.median, 3.5);
  EXPECT_EQ(summary.lo, 1);
  EXPECT_EQ(summary.hi, 8);
}

TEST(Summary, OfEqualValuesHasNoWidth) {
  EXPECT_EQ(summarize(std::vector<double>(7, 2.5)).relative_half_width(), 0);
  EXPECT_EQ(summarize(std::vector<double>(6, 0.0)).relative_half_width(), 0);
}

TEST(Summary, OfNothingIsAnError) { EXPECT_THROW(summarize({}), Error); }

RC_GTEST_PROP(Summary, IsOrdered, ()) {
  const auto raw = *rc::gen::nonEmpty(rc::gen::arbitrary<std::vector<std::int16_t>>());
  const Summary summary = summarize(std::vector<double>(raw.begin(), raw.end()));
  RC_ASSERT(summary.min <= summary.median);
  RC_ASSERT(summary.lo.has_value() == (raw.size() >= 6));
  RC_ASSERT(summary.hi.has_value() == summary.lo.has_value());
  if (!summary.lo) return;
  RC_ASSERT(summary.min <= *summary.lo);
  RC_ASSERT(*summary.lo <= summary.median);
  RC_ASSERT(summary.median <= *summary.hi);
}

// Statistic: how often the interval of 15 lognormal samples misses the true median. Its coverage is
// exactly 1 - 2 P(Binomial(15, 1/2) <= 3) = 0.9648, so misses of 4000 are binomial with mean 141
// and standard deviation 11.7; beyond 5 deviations has probability below 1e-6.
TEST(MedianInterval, CoversTheMedianAsOftenAsItSays) {
  std::mt19937_64 random(11);
  std::lognormal_distribution<double> distribution(0.0, 1.0);
  int misses = 0;
  int narrow_misses = 0;  // of an interval that is one rank too narrow; the test must tell it apart
  for (int trial = 0; trial < 4000; ++trial) {
    std::vector<double> samples(15);
    for (double& sample : samples) sample = distribution(random);
    const Summary summary = summarize(samples);
    if (summary.lo > 1.0 || summary.hi < 1.0) ++misses;
    std::sort(samples.begin(), samples.end());
    const double fifth_least = samples[4];
    const double fifth_greatest = samples[samples.size() - 5];
    if (fifth_least > 1.0 || fifth_greatest < 1.0) ++narrow_misses;
  }
  EXPECT_NEAR(misses, 141, 5 * 11.7);
  EXPECT_GT(narrow_misses, 141 + 5 * 11.7);
}

TEST(Quantile, IsLinearBetweenOrderStatistics) {
  const std::vector<double> values = {4, 1, 3, 2};
  EXPECT_EQ(quantile(values, 0), 1);
  EXPECT_EQ(quantile(values, 1), 4);
  EXPECT_EQ(quantile(values, 0.5), 2.5);
  EXPECT_DOUBLE_EQ(quantile(values, 0.95), 3.85);
  EXPECT_EQ(quantile(std::vector<double>{6}, 0.95), 6);
}

TEST(Quantile, OfInfinitiesOrNaNIsNoFiniteNumber) {
  const double infinity = std::numeric_limits<double>::infinity();
  const std::vector<double> two_infinite = {1, 2, infinity, infinity};
  EXPECT_EQ(quantile(two_infinite, 0.95), infinity);
  const std::vector<double> undefined = {3, std::nan(""), 1};
  for (const double q : {0.0, 0.5, 1.0}) EXPECT_TRUE(std::isnan(quantile(undefined, q)));
}

TEST(Quantile, InfinityDoesNotSpreadToItsNeighbours) {
  const double infinity = std::numeric_limits<double>::infinity();
  EXPECT_EQ(quantile(std::vector<double>{1, 2, infinity}, 0.5), 2);
}

TEST(BinomialBounds, AreTheTextbookOnes) {
  // 0 of n: the upper bound solves (1 - p)^n = 1 - confidence; n of n: p^n.
  EXPECT_EQ(binomial_lower_bound(0, 20, 0.999), 0);
  EXPECT_NEAR(binomial_upper_bound(0, 20, 0.999), 1 - std::pow(0.001, 1 / 20.0), 1e-12);
  EXPECT_NEAR(binomial_lower_bound(20, 20, 0.999), std::pow(0.001, 1 / 20.0), 1e-12);
  // 5 of 10 at 97.5 % each: 0.1871 to 0.8129.
  EXPECT_NEAR(binomial_lower_bound(5, 10, 0.975), 0.1871, 5e-5);
  EXPECT_NEAR(binomial_upper_bound(5, 10, 0.975), 0.8129, 5e-5);
}

TEST(MeanAndDeviation, AreThoseOfASample) {
  const Spread spread = mean_and_deviation(std::vector<double>{1, 2, 3, 4});
  EXPECT_DOUBLE_EQ(spread.mean, 2.5);
  EXPECT_DOUBLE_EQ(spread.deviation, std::sqrt(5.0 / 3));
}

TEST(MeanAndDeviation, OfEqualValuesHaveNoneOfTheirRounding) {
  const Spread spread = mean_and_deviation(std::vector<double>{0.1, 0.1, 0.1});
  EXPECT_DOUBLE_EQ(spread.mean, 0.1);
  EXPECT_EQ(spread.deviation, 0);
  EXPECT_EQ(mean_and_deviation(std::vector<double>{7}).deviation, 0);
  EXPECT_THROW(mean_and_deviation({}), Error);
}

}  // namespace
}  // namespace maskerade
