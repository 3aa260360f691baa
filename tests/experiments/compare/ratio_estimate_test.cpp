#include "experiments/compare/ratio_estimate.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <vector>

namespace maskerade::compare {
namespace {

TEST(RatioEstimate, IsAnIntervalOfStudent) {
  const RatioEstimate estimate{
      .log = std::log(1.1), .standard_error = 0.01, .degrees_of_freedom = 9};
  EXPECT_DOUBLE_EQ(estimate.ratio(), 1.1);
  // The 97.5 % quantile of t with 9 degrees of freedom is 2.2622.
  EXPECT_NEAR(estimate.interval(0.95).lo, 1.1 * std::exp(-0.022622), 1e-5);
  EXPECT_NEAR(estimate.interval(0.95).hi, 1.1 * std::exp(0.022622), 1e-5);
  EXPECT_LT(estimate.p_of_equality(), 1e-4);
}

TEST(RatioEstimate, WithoutErrorIsSure) {
  EXPECT_EQ((RatioEstimate{.log = 0, .degrees_of_freedom = 3}.p_of_equality()), 1);
  EXPECT_EQ((RatioEstimate{.log = 0.1, .degrees_of_freedom = 3}.p_of_equality()), 0);
}

TEST(EstimateOfPairs, IsTheMeanOfTheMiddleHalf) {
  const std::vector<double> logs = {0.05, -9, 0.01, 0.03, 7, 0.02, 0.04, 0.0};
  const RatioEstimate estimate = estimate_of_pairs(logs).value();
  EXPECT_DOUBLE_EQ(estimate.log, (0.01 + 0.02 + 0.03 + 0.04) / 4);
  EXPECT_DOUBLE_EQ(estimate.degrees_of_freedom, 0.8 * 3);
  // Winsorized: three each of 0.01 and 0.04, and 0.02 and 0.03; their deviation is 0.0141421.
  EXPECT_NEAR(estimate.standard_error, 0.0141421 * std::sqrt(7.0 / 12), 1e-6);
  EXPECT_FALSE(estimate_of_pairs(std::vector<double>{0, 1, 2}).has_value());
}

TEST(EstimateOfRuns, IsWelchs) {
  const std::vector<double> a = {0, 0.02};
  const std::vector<double> b = {0.1, 0.12, 0.14};
  const RatioEstimate estimate = estimate_of_runs(a, b).value();
  EXPECT_NEAR(estimate.log, 0.11, 1e-12);
  const double of_a = 0.0002 / 2;
  const double of_b = 0.0004 / 3;
  EXPECT_NEAR(estimate.standard_error, std::sqrt(of_a + of_b), 1e-12);
  EXPECT_NEAR(estimate.degrees_of_freedom,
              (of_a + of_b) * (of_a + of_b) / (of_a * of_a / 1 + of_b * of_b / 2), 1e-9);
  EXPECT_FALSE(estimate_of_runs(std::vector<double>{0}, b).has_value());
}

// Statistic: how many of 2,000 intervals of 95 % miss the truth; by chance more than 160 do with a
// probability below 1e-6. Twin: a truth that is 10 % off.
TEST(EstimateOfPairs, CoversTheTruthAlsoWhereSomeRunsAreDisturbed) {
  std::mt19937_64 engine(7);
  std::normal_distribution<double> normal(0, 0.02);
  std::uniform_real_distribution<double> uniform;
  for (const double disturbed : {0.0, 0.1}) {
    int missed = 0;
    int missed_of_twin = 0;
    for (int i = 0; i < 2000; ++i) {
      std::vector<double> logs;
      for (int pair = 0; pair < 16; ++pair) {
        const auto run = [&] {
          return normal(engine) + (uniform(engine) < disturbed ? 0.6 * uniform(engine) : 0);
        };
        const double of_b = run();
        logs.push_back(std::log(1.05) + of_b - run());
      }
      const RatioInterval interval = estimate_of_pairs(logs)->interval(0.95);
      missed += interval.lo > 1.05 || interval.hi < 1.05;
      missed_of_twin += interval.lo > 1.155 || interval.hi < 1.155;
    }
    EXPECT_LE(missed, 160) << disturbed;
    EXPECT_GE(missed_of_twin, 1000) << disturbed;
  }
}

// Statistic: how many of 10,000 estimates of equal builds on a quiet machine have a probability of
// at most 0.1 %; by chance more than 30 do with a probability below 1e-6. Twin: builds of which one
// takes 10 % longer.
TEST(EstimateOfPairs, IsRarelySureOfADifferenceThatIsNone) {
  std::mt19937_64 engine(11);
  std::normal_distribution<double> normal(0, 0.02);
  for (const std::size_t count : {8, 16}) {
    int sure = 0;
    int sure_of_twin = 0;
    for (int i = 0; i < 10'000; ++i) {
      std::vector<double> logs(count);
      for (double& log : logs) log = normal(engine);
      sure += estimate_of_pairs(logs)->p_of_equality() <= 1e-3;
      if (i >= 1000) continue;
      for (double& log : logs) log += std::log(1.1);
      sure_of_twin += estimate_of_pairs(logs)->p_of_equality() <= 1e-3;
    }
    EXPECT_LE(sure, 30) << count;
    EXPECT_GE(sure_of_twin, 100) << count;
  }
}

TEST(BootstrapError, IsThatOfAMedian) {
  std::mt19937_64 engine(3);
  std::normal_distribution<double> normal(0, 0.1);
  std::vector<double> times;
  for (int i = 0; i < 400; ++i) times.push_back(std::exp(normal(engine)));
  // That of the median of a normal distribution: sqrt(pi / 2) * 0.1 / sqrt(400).
  EXPECT_NEAR(bootstrap_error(times, {}, 1).value(), 0.00627, 0.002);
  EXPECT_EQ(bootstrap_error(times, {}, 1), bootstrap_error(times, {}, 1));
  // What moves with its ruler has no error.
  EXPECT_NEAR(bootstrap_error(times, times, 1).value(), 0, 1e-12);
}

TEST(BootstrapError, IsLargerWhereNeighboursAreAlike) {
  std::mt19937_64 engine(3);
  std::normal_distribution<double> normal(0, 0.1);
  std::vector<double> times;
  for (int i = 0; i < 100; ++i) times.insert(times.end(), 8, std::exp(normal(engine)));
  EXPECT_GT(bootstrap_error(times, {}, 1).value(), 0.0075);
}

TEST(BootstrapError, NeedsSixTimesAboveZero) {
  EXPECT_FALSE(bootstrap_error(std::vector<double>(5, 1.0), {}, 1).has_value());
  EXPECT_TRUE(bootstrap_error(std::vector<double>(6, 1.0), {}, 1).has_value());
  EXPECT_FALSE(bootstrap_error(std::vector<double>(6, 0.0), {}, 1).has_value());
}

}  // namespace
}  // namespace maskerade::compare
