#include "tests/statistics/statistics.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>
#include <random>
#include <vector>

#include "experiments/measure/statistics.hpp"

namespace maskerade::statistics {
namespace {

TEST(Statistics, UniformDrawsOfOneKeyArePearsonsChiSquare) {
  // One of three keys, 60 draws: Pearson's sum of (c - 20)^2 / 20 = (16 + 4 + 4) / 20 = 1.2 on two
  // degrees of freedom, whose upper tail is exp(-x / 2).
  const std::array<std::int64_t, 3> counts = {24, 18, 18};
  EXPECT_NEAR(uniform_draws_p_value(counts, 60, 1), std::exp(-0.6), 1e-12);
}

TEST(Statistics, UniformDrawsOfAllButOneMirrorDrawsOfOne) {
  const std::array<std::int64_t, 3> one = {24, 18, 18};
  const std::array<std::int64_t, 3> two = {36, 42, 42};
  EXPECT_NEAR(uniform_draws_p_value(one, 60, 1), uniform_draws_p_value(two, 60, 2), 1e-12);
}

TEST(Statistics, UniformDrawsPValuesAreUniform) {
  std::mt19937 engine(1);
  std::vector<int> keys(20);
  std::iota(keys.begin(), keys.end(), 0);
  int below_half = 0;
  constexpr int kRepetitions = 400;
  for (int repetition = 0; repetition < kRepetitions; ++repetition) {
    std::vector<std::int64_t> counts(keys.size());
    for (int draw = 0; draw < 200; ++draw) {
      std::shuffle(keys.begin(), keys.end(), engine);
      for (int i = 0; i < 6; ++i) ++counts[static_cast<std::size_t>(keys[i])];
    }
    if (uniform_draws_p_value(counts, 200, 6) < 0.5) ++below_half;
  }
  EXPECT_LT(binomial_lower_bound(below_half, kRepetitions, 1 - kFamilyAlpha), 0.5);
  EXPECT_GT(binomial_upper_bound(below_half, kRepetitions, 1 - kFamilyAlpha), 0.5);
}

TEST(Statistics, InclusionIsTheExactBinomialTimesTheKeys) {
  // P(10 of 10 at 1/2) = 2^-10, two sides, one of two keys.
  const std::array<std::int64_t, 2> counts = {10, 5};
  const std::array<double, 2> probabilities = {0.5, 0.5};
  EXPECT_NEAR(inclusion_p_value(counts, 10, probabilities), 4 / 1024.0, 1e-15);
  const std::array<std::int64_t, 1> none = {0};
  const std::array<double, 1> certain = {0.5};
  EXPECT_NEAR(inclusion_p_value(none, 10, certain), 2 / 1024.0, 1e-15);
}

TEST(Statistics, MeanIsStudentsT) {
  Moments sample;
  for (const double value : {1.0, 2.0, 3.0}) sample.add(value);
  EXPECT_EQ(sample.mean, 2);
  EXPECT_NEAR(sample.squares, 2, 1e-15);
  // t = (2 - 0) / (1 / sqrt(3)) on two degrees of freedom: P(|T| > t) = 1 - t / sqrt(2 + t^2).
  const double t = 2 * std::sqrt(3.0);
  EXPECT_NEAR(mean_p_value(sample, 0), 1 - t / std::sqrt(2 + t * t), 1e-12);
  const std::array<Moments, 2> both = {sample, sample};
  const std::array<double, 2> expected = {2, 0};
  EXPECT_NEAR(means_p_value(both, expected), 2 * mean_p_value(sample, 0), 1e-15);
}

TEST(Statistics, MeanWithoutSpreadIsRightOrWrong) {
  Moments sample;
  for (int i = 0; i < 5; ++i) sample.add(3);
  EXPECT_EQ(mean_p_value(sample, 3), 1);
  EXPECT_EQ(mean_p_value(sample, 3.1), 0);
}

}  // namespace
}  // namespace maskerade::statistics
