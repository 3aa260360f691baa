#include "experiments/measure/stopping_rule.hpp"

#include <gtest/gtest.h>

namespace maskerade {
namespace {

TEST(StoppingRule, RepeatsAtLeastSixTimesWithinTheBudget) {
  StoppingRule rule(0.02, 1000);
  EXPECT_FALSE(rule.is_done(0));
  for (int repetition = 0; repetition < 5; ++repetition) {
    rule.add(10, 20);
    EXPECT_FALSE(rule.is_done(1));
  }
  rule.add(10, 20);
  EXPECT_TRUE(rule.is_done(1));
}

TEST(StoppingRule, StopsWhenTheBudgetIsSpent) {
  StoppingRule rule(0.02, 1000);
  rule.add(900, 200);
  EXPECT_FALSE(rule.is_done(999));
  EXPECT_TRUE(rule.is_done(1000));
}

TEST(StoppingRule, MeasuresOnceEvenWhenTheWarmUpSpentTheBudget) {
  StoppingRule rule(0.02, 1000);
  EXPECT_FALSE(rule.is_done(5000));
  rule.add(1, 1);
  EXPECT_TRUE(rule.is_done(5001));
}

TEST(StoppingRule, WaitsForBothTheSparseAndTheDenseTime) {
  StoppingRule noisy_dense(0.02, 1e9);
  StoppingRule noisy_sparse(0.02, 1e9);
  for (int repetition = 0; repetition < 40; ++repetition) {
    const double noisy = repetition % 2 == 0 ? 10 : 30;
    noisy_dense.add(10, noisy);
    noisy_sparse.add(noisy, 10);
    EXPECT_FALSE(noisy_dense.is_done(1));
    EXPECT_FALSE(noisy_sparse.is_done(1));
  }
}

TEST(StoppingRule, StopsOnceTheMediansAreKnown) {
  StoppingRule rule(0.02, 1e9);
  int repetitions = 0;
  do {
    // Every seventh sample is an outlier, which hardly moves the median.
    rule.add(repetitions % 7 == 1 ? 50 : 10, 20);
    ++repetitions;
  } while (!rule.is_done(1) && repetitions < 1000);
  EXPECT_GT(repetitions, 6);
  EXPECT_LT(repetitions, 40);
}

}  // namespace
}  // namespace maskerade
