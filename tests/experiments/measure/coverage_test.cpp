#include "experiments/measure/coverage.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "experiments/measure/statistics.hpp"

namespace maskerade {
namespace {

// The coverage of a guarantee with epsilon 10 % whose estimates are off by 25 % on misses[row] of
// the seeds, and by 2 % on the others.
Coverage tallied(const std::vector<int>& misses, int seeds, double delta) {
  CoverageTally tally({.epsilon = 0.1, .delta = delta}, misses.size());
  for (int seed = 0; seed < seeds; ++seed) {
    for (std::size_t row = 0; row < misses.size(); ++row) {
      const double error = seed < misses[row] ? (seed % 2 == 0 ? 0.25 : -0.25) : 0.02;
      tally.add(row, (1 + error) * 40, 40);
    }
  }
  return tally.finish();
}

TEST(Coverage, CountsMissesOnBothSides) {
  const Coverage coverage = tallied({10, 0, 30, 0}, 100, 0.2);
  EXPECT_EQ(coverage.rows, 4);
  EXPECT_EQ(coverage.seeds, 100);
  EXPECT_DOUBLE_EQ(coverage.overall.rate, 0.1);
  EXPECT_DOUBLE_EQ(coverage.overall.lo, binomial_lower_bound(40, 400, 0.999));
  EXPECT_DOUBLE_EQ(coverage.overall.hi, binomial_upper_bound(40, 400, 0.999));
  EXPECT_DOUBLE_EQ(coverage.worst.rate, 0.3);
  EXPECT_DOUBLE_EQ(coverage.worst.lo, binomial_lower_bound(30, 100, 1 - 0.001 / 4));
  EXPECT_EQ(coverage.contradicting_rows, 0);
  EXPECT_FALSE(coverage.is_contradicted());
  EXPECT_TRUE(coverage.is_supported());
}

TEST(Coverage, OneBadRowContradictsWhateverTheOthersDo) {
  const Coverage coverage = tallied({0, 0, 90, 0}, 100, 0.3);
  EXPECT_LT(coverage.overall.rate, 0.3);
  EXPECT_EQ(coverage.contradicting_rows, 1);
  EXPECT_TRUE(coverage.is_contradicted());
  EXPECT_EQ(verdict_of(coverage), "contradicted");
}

// The misses of each row could be chance; those of all rows together could not.
TEST(Coverage, ManyRowsAboveDeltaContradictTogether) {
  const Coverage coverage = tallied(std::vector<int>(50, 14), 100, 0.1);
  EXPECT_EQ(coverage.contradicting_rows, 0);
  EXPECT_GT(coverage.overall.lo, 0.1);
  EXPECT_TRUE(coverage.is_contradicted());
}

TEST(Coverage, ARateAtDeltaIsUndecided) {
  EXPECT_EQ(verdict_of(tallied({10, 12, 8}, 100, 0.1)), "undecided");
}

TEST(Coverage, HoldsWhereTheUpperBoundOfAllRowsIsAtMostDelta) {
  const Coverage coverage = tallied({10, 12, 8}, 100, 0.2);
  EXPECT_LE(coverage.overall.hi, 0.2);
  EXPECT_EQ(verdict_of(coverage), "holds");
  EXPECT_EQ(verdict_of(tallied({10, 12, 8}, 100, coverage.overall.hi)), "holds");
  EXPECT_EQ(verdict_of(tallied({10, 12, 8}, 100, coverage.overall.hi - 1e-6)), "undecided");
}

// One seed says of no row that it misses more often than it may, however many rows there are.
TEST(Coverage, OneSeedDecidesNothing) {
  for (const std::size_t rows : {1, 2, 16, 4096}) {
    const Coverage coverage = tallied(std::vector<int>(rows), 1, 0.2);
    EXPECT_EQ(coverage.overall.rate, 0);
    EXPECT_EQ(verdict_of(coverage), "undecided") << rows;
  }
  EXPECT_EQ(verdict_of(tallied({0, 1, 0}, 1, 0.2)), "undecided");
}

// Few seeds hold once a row that always missed would be seen: (0.001 / 16)^(1 / n) > 0.2 from n
// = 7.
TEST(Coverage, HoldsOnceARowCouldContradict) {
  EXPECT_EQ(verdict_of(tallied(std::vector<int>(16), 6, 0.2)), "undecided");
  EXPECT_EQ(verdict_of(tallied(std::vector<int>(16), 7, 0.2)), "holds");
}

TEST(Coverage, EstimateThatIsNoNumberMisses) {
  CoverageTally tally({.epsilon = 0.1, .delta = 0.5}, 1);
  tally.add(0, std::nan(""), 1);
  tally.add(0, std::numeric_limits<double>::infinity(), 1);
  tally.add(0, 1.05, 1);
  EXPECT_DOUBLE_EQ(tally.finish().overall.rate, 2.0 / 3);
}

}  // namespace
}  // namespace maskerade
