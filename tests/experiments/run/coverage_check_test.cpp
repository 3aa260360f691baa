#include "experiments/run/coverage_check.hpp"

#include <gtest/gtest.h>

#include "test_experiment.hpp"

namespace maskerade {
namespace {

CellResult result_of(const std::string& pipeline,
                     const std::string& check,
                     int threads = 2,
                     const std::string& seed = "0") {
  return run_all(experiment_of(
                     "name: covered\n"
                     "seeds: {mask: " +
                     seed +
                     "}\nworkload: {source: {kind: gaussian, seed: 3}, batch: 2, query_heads: 4,\n"
                     "           kv_heads: 2, query_len: 6, key_len: 300, head_dim: 16, causal: "
                     "true}\n"
                     "measure: {target: 50%, budget: 5ms}\n"
                     "check: " +
                     check + "\npipelines: {p: " + pipeline + "}\n"),
                 {.threads = Threads(threads)})
      .row("p");
}

constexpr const char* kStated =
    "[{oracle_topk: 20%}, {adaptive_sampling: {epsilon: 5%, delta: 20%, base: 40}}]";

TEST(CoverageCheck, CountsOverRowsAndSeeds) {
  const CellResult result = result_of(kStated, "{coverage_seeds: 50, coverage_rows: 1000}");
  ASSERT_TRUE(result.coverage) << result.reason;
  EXPECT_EQ(result.coverage->seeds, 50);
  EXPECT_EQ(result.coverage->rows, 2 * 4 * 6);
  EXPECT_EQ(result.coverage->stated.epsilon, 0.05);
  EXPECT_EQ(result.coverage->stated.delta, 0.2);
  EXPECT_GT(result.coverage->overall.rate, 0);
  EXPECT_FALSE(result.coverage->is_contradicted()) << result.coverage->overall.rate;
}

TEST(CoverageCheck, DrawsQueriesWithAllTheirHeads) {
  const CellResult result = result_of(kStated, "{coverage_seeds: 10, coverage_rows: 9}");
  EXPECT_EQ(result.coverage->rows, 2 * 4 * 2);
}

TEST(CoverageCheck, IsTheSameForAnyThreadCountAndDependsOnTheSeed) {
  const std::string check = "{coverage_seeds: 40}";
  const Coverage one = *result_of(kStated, check, 1).coverage;
  const Coverage two = *result_of(kStated, check, 2).coverage;
  EXPECT_EQ(one.overall.rate, two.overall.rate);
  EXPECT_EQ(one.worst.rate, two.worst.rate);
  EXPECT_NE(result_of(kStated, check, 2, "2000").coverage->overall.rate, one.overall.rate);
}

TEST(CoverageCheck, LooksAtTheHeadsThatStateSomething) {
  const std::string maskers = kStated;
  const CellResult result =
      result_of("{maskers: " + maskers + ", overrides: [{heads: [0, 2, 3], use: dense}]}",
                "{coverage_seeds: 10, coverage_rows: 6}");
  ASSERT_TRUE(result.coverage) << result.reason;
  EXPECT_EQ(result.coverage->rows, 2 * 1 * 3);
}

// Two keys tell nothing of a spread.
TEST(CoverageCheck, CatchesAGuaranteeThatDoesNotHold) {
  const CellResult result = result_of("[{adaptive_sampling: {epsilon: 10%, delta: 1%, base: 2}}]",
                                      "{coverage_seeds: 60}");
  EXPECT_TRUE(result.coverage->is_contradicted());
  EXPECT_GT(result.coverage->overall.lo, 0.01);
  EXPECT_EQ(result.status, CellStatus::kOk) << "a finding, no failure";
}

TEST(CoverageCheck, OneSeedIsUndecidedAndManyHold) {
  const auto verdict = [](const std::string& check) {
    return verdict_of(
        *result_of("[{adaptive_sampling: {epsilon: 20%, delta: 20%, base: 200}}]", check).coverage);
  };
  EXPECT_EQ(verdict("{coverage_seeds: 1, coverage_rows: 1000}"), "undecided");
  EXPECT_EQ(verdict("{coverage_seeds: 100, coverage_rows: 1000}"), "holds");
}

// A rate of 0 or 1 is known beforehand.
TEST(CoverageCheck, DrawingEverythingNeverMisses) {
  const CellResult result = result_of("[{adaptive_sampling: 0.000001%}]", "{coverage_seeds: 5}");
  EXPECT_EQ(result.coverage->overall.rate, 0);
}

TEST(CoverageCheck, IsAbsentWhereNothingIsStatedOrAsked) {
  const std::string check = "{coverage_seeds: 5}";
  EXPECT_FALSE(result_of("[{random_sampling: 10%}]", check).coverage);
  EXPECT_FALSE(result_of("[{adaptive_sampling: {epsilon: 10%, one_sided: true}}]", check).coverage);
  EXPECT_FALSE(result_of(kStated, "{}").coverage);
}

}  // namespace
}  // namespace maskerade
