#include <gtest/gtest.h>

#include <numeric>

#include "tests/maskers/sampler_checks.hpp"

namespace maskerade {
namespace {

MaskerUse sampler(const std::string& budget, NamedArguments given = {}) {
  given.emplace_back("budget", budget);
  return use("oracle_sampling", given);
}

// 1 - (1 - w)^b of every row and key, w the weight's share among the keys of [begin, end).
std::vector<double> inclusion(const MaskerProblem& problem, int budget, int begin, int end) {
  std::vector<double> weights = exact_weights(problem);
  const auto key_len = static_cast<std::size_t>(problem.shape().key_len);
  for (std::size_t row = 0; row < weights.size() / key_len; ++row) {
    double* of_row = &weights[row * key_len];
    const double total = std::accumulate(of_row + begin, of_row + end, 0.0);
    for (std::size_t key = 0; key < key_len; ++key) {
      const bool candidate = static_cast<int>(key) >= begin && static_cast<int>(key) < end;
      of_row[key] = candidate ? 1 - std::pow(1 - of_row[key] / total, budget) : 0;
    }
  }
  return weights;
}

TEST(OracleSampling, ProbabilitiesAreThoseOfDrawsWithReplacement) {
  const MaskerProblem problem({1, 4, 2, 3, 90, 16}, {.key_spread = 1});
  const std::vector<double> expected = inclusion(problem, 20, 5, 80);
  const std::vector<float> weights =
      to_dense(run({sampler("20", {{"init_offset", "5"}, {"local_offset", "10"}})}, problem).mask);
  int drawn = 0;
  for (std::size_t i = 0; i < weights.size(); ++i) {
    if (weights[i] == 0) continue;
    EXPECT_NEAR(weights[i] / expected[i], 1, 1e-5);
    ++drawn;
  }
  EXPECT_GT(drawn, 12);
  EXPECT_LE(drawn, 12 * 20);
}

TEST(OracleSampling, OneCandidateIsCertain) {
  const MaskerProblem problem({1, 1, 1, 1, 20, 8});
  const Mask mask = run({use("sink", {{"", "19"}}), sampler("1")}, problem).mask;
  EXPECT_EQ(mask, Mask::full(problem.inputs().visibility));
}

TEST(OracleSampling, NoCandidatesOrNoBudgetIsNoDraw) {
  const MaskerProblem problem({1, 1, 1, 2, 20, 8}, {.causal = true});
  EXPECT_EQ(run({use("sink", {{"", "100%"}}), sampler("5")}, problem).mask,
            Mask::full(problem.inputs().visibility));
  EXPECT_EQ(count(run({sampler("0")}, problem).mask).active_entries, 0);
  EXPECT_EQ(count(run({sampler("5", {{"init_offset", "20"}})}, problem).mask).active_entries, 0);
}

TEST(OracleSampling, ManyMoreDrawsThanKeysAreDenseAttention) {
  for (const std::int64_t group : {1, 3, 8}) {
    for (const std::int64_t queries : {1, 3}) {
      const MaskerProblem problem({1, group, 1, queries, 12, 16}, {.causal = true});
      const Mask mask = run({sampler("20000")}, problem).mask;
      EXPECT_EQ(density(mask), 1);
      expect_dense_attention(mask, problem);
    }
  }
}

TEST(OracleSampling, KeepsTheRulesOfASelection) {
  expect_selection_rules({use("sink", {{"", "2"}}), sampler("10")},
                         MaskerProblem({2, 4, 2, 130, 200, 8}, {.causal = true}));
}

TEST(OracleSampling, ScoresEveryKeyOnce) {
  const MaskerReport report =
      report_of(run({sampler("5")}, MaskerProblem({1, 2, 1, 3, 64, 8})), "oracle_sampling");
  EXPECT_EQ(report.keys_scored, 2 * 3 * 64);
  EXPECT_EQ(report.bytes_read, 2 * 3 * 64 * 8 * 4);
}

TEST(OracleSampling, BadArgumentsSayWhatWouldBeRight) {
  EXPECT_EQ(
      error_of("oracle_sampling", {}),
      "\"oracle_sampling\" needs \"budget\" (tokens): draws; a key that is drawn again is not "
      "replaced by another");
  EXPECT_EQ(error_of("oracle_sampling", {{"budget", "1000001"}}),
            "\"budget\" is 1000001; it must be in [0, 1000000]");
  EXPECT_EQ(error_of("oracle_sampling", {{"budget", "0.5"}}),
            "\"budget\" is 0.5, a bare number: write 50% for that share of key_len, or a whole "
            "number of tokens");
}

// Inclusion frequencies of each key (statistics::inclusion_p_value over all rows and keys) against
// the exact probabilities. The twin claims them 10 % higher.
TEST(OracleSamplingStatistics, KeysAreDrawnWithTheStatedProbability) {
  const MaskerProblem problem({1, 2, 1, 2, 24, 8});
  const std::vector<double> expected = inclusion(problem, 12, 0, 24);
  std::vector<double> planted;
  for (const double p : expected) planted.push_back(std::min(1.0, kPlanted * p));
  std::vector<std::int64_t> counts(expected.size());
  for_each_seed({sampler("12")}, problem, kSeeds, [&](const std::vector<float>& weights) {
    for (std::size_t i = 0; i < weights.size(); ++i) counts[i] += weights[i] > 0 ? 1 : 0;
  });
  expect_found(statistics::inclusion_p_value(counts, kSeeds, expected),
               statistics::inclusion_p_value(counts, kSeeds, planted));
}

TEST(OracleSamplingStatistics, DenominatorAndNumeratorAreUnbiased) {
  expect_unbiased({use("sink", {{"", "4"}}), sampler("12")},
                  MaskerProblem({1, 2, 1, 2, 48, 4}, {.key_spread = 0.5}));
}

}  // namespace
}  // namespace maskerade
