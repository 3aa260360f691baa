#include "experiments/compare/verdict.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

namespace maskerade::compare {
namespace {

RatioEstimate estimate(double ratio, double standard_error) {
  return {.log = std::log(ratio), .standard_error = standard_error, .degrees_of_freedom = 30};
}

TEST(HolmAdjusted, IsWhatHolmSays) {
  // Holm 1979: the least of four times 4, the next times 3, and never below the one before.
  const std::vector<double> adjusted = holm_adjusted(std::vector<double>{0.02, 0.01, 0.021, 0.9});
  const std::vector<double> expected = {0.06, 0.04, 0.06, 0.9};
  ASSERT_EQ(adjusted.size(), expected.size());
  for (std::size_t i = 0; i < expected.size(); ++i) EXPECT_NEAR(adjusted[i], expected[i], 1e-12);
  EXPECT_EQ(holm_adjusted(std::vector<double>{0.5, 0.9}), (std::vector<double>{1, 1}));
  EXPECT_TRUE(holm_adjusted({}).empty());
}

TEST(VerdictOf, IsSameWhereTheIntervalLiesWithinTheMargin) {
  EXPECT_EQ(verdict_of(estimate(1.01, 0.01), 1, {}), Verdict::kSame);
  // Sure, and smaller than what counts.
  EXPECT_EQ(verdict_of(estimate(1.02, 0.001), 0, {}), Verdict::kSame);
  EXPECT_EQ(verdict_of(estimate(1.04, 0.01), 1, {}), Verdict::kUnclear);
  EXPECT_EQ(verdict_of(estimate(1.04, 0.01), 1, {.margin = 0.1}), Verdict::kSame);
}

TEST(VerdictOf, NeedsMoreThanTheMarginToBeSlowerOrFaster) {
  EXPECT_EQ(verdict_of(estimate(1.1, 0.01), 0.01, {}), Verdict::kSlower);
  EXPECT_EQ(verdict_of(estimate(0.9, 0.01), 0.01, {}), Verdict::kFaster);
  EXPECT_EQ(verdict_of(estimate(1.1, 0.01), 0.06, {}), Verdict::kUnclear);
  EXPECT_EQ(verdict_of(estimate(1.045, 0.01), 0.01, {}), Verdict::kUnclear);
}

TEST(VerdictOf, AsksMoreOfAnEstimateThatIsLookedAtOften) {
  EXPECT_EQ(verdict_of(estimate(1.027, 0.01), 1, {.looks = 1}), Verdict::kSame);
  EXPECT_EQ(verdict_of(estimate(1.027, 0.01), 1, {.looks = 4}), Verdict::kUnclear);
  const RatioEstimate slower = estimate(1.1, 0.03);
  EXPECT_DOUBLE_EQ(corrected_probability(slower, {.looks = 4}), 4 * slower.p_of_equality());
  EXPECT_EQ(corrected_probability(estimate(1, 0.03), {.looks = 4}), 1);
}

}  // namespace
}  // namespace maskerade::compare
