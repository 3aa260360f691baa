#include <gtest/gtest.h>

#include "tests/maskers/sampler_checks.hpp"

namespace maskerade {
namespace {

MaskerUse sampler(const std::string& rate, NamedArguments given = {}) {
  given.emplace_back("rate", rate);
  return use("random_sampling", given);
}

// Of each row: how many entries have p < 1, and their probability.
void expect_draws(const Mask& mask, std::int64_t draws, float probability) {
  for (std::int64_t h = 0; h < mask.extent().heads; ++h) {
    for (std::int64_t i = 0; i < mask.query_len(); ++i) {
      const SampledEntries entries = mask.sampled(0, h, i);
      EXPECT_EQ(static_cast<std::int64_t>(entries.keys.size()), draws);
      for (const float p : entries.probabilities) EXPECT_EQ(p, probability);
    }
  }
}

TEST(RandomSampling, DrawsTheFlooredShareOfTheCandidates) {
  const MaskerProblem problem({1, 2, 1, 3, 100, 8});
  expect_draws(run({sampler("29%")}, problem).mask, 29, 0.29F);
  expect_draws(run({sampler("0.29")}, problem).mask, 29, 0.29F);
  expect_draws(run({sampler("28.999999%")}, problem).mask, 28, 0.28F);
  expect_draws(run({sampler("0.0001%")}, problem).mask, 1, 0.01F);
}

TEST(RandomSampling, CandidatesAreVisibleInactiveAndBetweenTheOffsets) {
  const MaskerProblem problem({1, 1, 1, 4, 100, 8}, {.causal = true});
  const Mask mask = run({use("strided", {{"stride", "2"}}),
                         sampler("50%", {{"init_offset", "10"}, {"local_offset", "20%"}})},
                        problem)
                        .mask;
  expect_draws(mask, 17, 17.0F / 35);  // the 35 odd keys of [10, 80)
  for (std::int64_t i = 0; i < 4; ++i) {
    for (const std::int32_t key : mask.sampled(0, 0, i).keys) {
      EXPECT_TRUE(key % 2 == 1 && key >= 10 && key < 80) << key;
    }
  }
}

TEST(RandomSampling, NoCandidatesIsNoDraw) {
  const MaskerProblem problem({1, 1, 1, 2, 20, 8}, {.causal = true});
  const Mask full = run({use("sink", {{"", "100%"}}), sampler("50%")}, problem).mask;
  EXPECT_EQ(full, Mask::full(problem.inputs().visibility));
  EXPECT_FALSE(run({sampler("50%", {{"init_offset", "30"}})}, problem).mask.has_sampled());
  EXPECT_FALSE(run({sampler("50%", {{"local_offset", "100%"}})}, problem).mask.has_sampled());
}

TEST(RandomSampling, DrawingEverythingIsDenseAttention) {
  for (const std::int64_t group : {1, 3, 8}) {
    for (const std::int64_t queries : {1, 70}) {
      const MaskerProblem problem({2, 2 * group, 2, queries, 203, 16}, {.causal = true});
      const Mask mask = run({sampler("100%")}, problem).mask;
      EXPECT_EQ(density(mask), 1);
      expect_dense_attention(mask, problem);
    }
  }
}

TEST(RandomSampling, KeepsTheRulesOfASelection) {
  expect_selection_rules({use("sink", {{"", "2"}}), sampler("10%")},
                         MaskerProblem({2, 4, 2, 130, 200, 8}, {.causal = true}));
}

TEST(RandomSampling, SmallerDrawsAreNestedInLargerOnes) {
  const MaskerProblem problem({1, 2, 1, 3, 100, 8});
  const Mask small = run({sampler("10%")}, problem).mask;
  const Mask large = run({sampler("40%")}, problem).mask;
  for (std::int64_t h = 0; h < 2; ++h) {
    for (std::int64_t i = 0; i < 3; ++i) {
      for (const std::int32_t key : small.sampled(0, h, i).keys) {
        EXPECT_GT(large.probability(0, h, i, key), 0);
      }
    }
  }
}

TEST(RandomSampling, ScoresNothing) {
  const MaskerReport report =
      report_of(run({sampler("10%")}, MaskerProblem({1, 1, 1, 1, 64, 8})), "random_sampling");
  EXPECT_EQ(report.keys_scored, 0);
  EXPECT_EQ(report.bytes_read, 0);
}

TEST(RandomSampling, BadArgumentsSayWhatWouldBeRight) {
  EXPECT_EQ(error_of("random_sampling", {}),
            "\"random_sampling\" needs \"rate\" (share): share of the candidates to draw, rounded "
            "down; at least one key");
  EXPECT_EQ(error_of("random_sampling", {{"rate", "0"}}), "\"rate\" is 0; it must be in (0, 1]");
  EXPECT_EQ(error_of("random_sampling", {{"rate", "1.5"}}),
            "\"rate\" is 1.5; it must be in (0, 1]");
}

// Inclusion frequencies of each row's draws (statistics::uniform_draws_p_value), Bonferroni over
// the rows. The twin moves each draw of the upper half of the keys, with probability 1/10, to the
// next key of the lower half that was not drawn.
TEST(RandomSamplingStatistics, EveryKeyIsDrawnAsOften) {
  const MaskerProblem problem({1, 2, 1, 2, 64, 4});
  constexpr std::size_t kKeys = 64;
  constexpr std::int64_t kDraws = 16;
  std::mt19937 engine(1);
  std::uniform_real_distribution<double> uniform;
  std::vector<std::vector<std::int64_t>> counts(4, std::vector<std::int64_t>(kKeys));
  auto twins = counts;
  for_each_seed({sampler("25%")}, problem, kSeeds, [&](const std::vector<float>& weights) {
    for (std::size_t row = 0; row < counts.size(); ++row) {
      std::vector<bool> drawn(kKeys);
      for (std::size_t key = 0; key < kKeys; ++key) drawn[key] = weights[row * kKeys + key] > 0;
      for (std::size_t key = 0; key < kKeys; ++key) counts[row][key] += drawn[key] ? 1 : 0;
      for (std::size_t key = kKeys / 2; key < kKeys; ++key) {
        std::size_t other = key - kKeys / 2;
        if (!drawn[key] || drawn[other] || uniform(engine) >= 0.1) continue;
        drawn[key] = false;
        drawn[other] = true;
      }
      for (std::size_t key = 0; key < kKeys; ++key) twins[row][key] += drawn[key] ? 1 : 0;
    }
  });
  for (std::size_t row = 0; row < counts.size(); ++row) {
    expect_found(statistics::uniform_draws_p_value(counts[row], kSeeds, kDraws),
                 statistics::uniform_draws_p_value(twins[row], kSeeds, kDraws), counts.size());
  }
}

TEST(RandomSamplingStatistics, DenominatorAndNumeratorAreUnbiased) {
  expect_unbiased({use("sink", {{"", "4"}}), sampler("20%")}, MaskerProblem({1, 2, 1, 2, 64, 4}));
}

// A second sampler over other keys counts no mass twice, even one whose draw depends on what the
// first drew.
TEST(RandomSamplingStatistics, SamplersOverDisjointKeysAreUnbiasedTogether) {
  const std::vector<MaskerUse> maskers = {
      use("sink", {{"", "4"}}), use("random_sampling", {{"rate", "25%"}, {"local_offset", "40"}}),
      use("adaptive_sampling", {{"epsilon", "30%"}, {"base", "4"}, {"init_offset", "24"}})};
  expect_unbiased(maskers, MaskerProblem({1, 2, 1, 2, 64, 4}));
}

}  // namespace
}  // namespace maskerade
