#include <gtest/gtest.h>

#include <numbers>
#include <tuple>

#include "tests/maskers/index_checks.hpp"
#include "tests/maskers/sampler_checks.hpp"

namespace maskerade {
namespace {

MaskerUse sampler(int tables, int bits, NamedArguments given = {}) {
  given.emplace_back("tables", std::to_string(tables));
  given.emplace_back("bits", std::to_string(bits));
  return use("magic_pig", given);
}

double dot(const std::vector<double>& a, const std::vector<double>& b) {
  double sum = 0;
  for (std::size_t d = 0; d < a.size(); ++d) sum += a[d] * b[d];
  return sum;
}

// The probability of every row and key by the definition: angles between the transformed vectors,
// binomial sums over the tables.
std::vector<double> inclusion(const MaskerProblem& problem,
                              int tables,
                              int bits,
                              const std::string& transform,
                              int min_matches) {
  const AttentionShape& shape = problem.shape();
  std::vector<double> probabilities;
  for (std::int64_t row = 0; row < shape.rows(); ++row) {
    const std::int64_t batch = row / shape.query_len / shape.query_heads;
    const std::int64_t head = row / shape.query_len % shape.query_heads;
    std::vector<std::vector<double>> keys;
    std::vector<double> mean(static_cast<std::size_t>(shape.head_dim));
    double largest = 0;
    for (std::int64_t key = 0; key < shape.key_len; ++key) {
      const auto narrow =
          MaskerProblem::row_of(problem.inputs().k, batch, shape.kv_head_of(head), key);
      keys.emplace_back(narrow.begin(), narrow.end());
      for (std::size_t d = 0; d < mean.size(); ++d) {
        mean[d] += keys.back()[d] / static_cast<double>(shape.key_len);
      }
      largest = std::max(largest, std::sqrt(dot(keys.back(), keys.back())));
    }
    const auto narrow =
        MaskerProblem::row_of(problem.inputs().q, batch, head, row % shape.query_len);
    std::vector<double> query(narrow.begin(), narrow.end());
    if (transform == "simple_lsh") query.push_back(0);
    for (std::vector<double>& key : keys) {
      if (transform == "simple_lsh") {
        key.push_back(std::sqrt(std::max(0.0, largest * largest - dot(key, key))));
      } else {
        for (std::size_t d = 0; d < mean.size(); ++d) key[d] -= mean[d];
      }
      const double cosine = dot(query, key) / std::sqrt(dot(query, query) * dot(key, key));
      const double angle = std::acos(std::clamp(cosine, -1.0, 1.0));
      const double c = std::pow(1 - angle / std::numbers::pi, bits);
      const double none = std::pow(1 - c, tables);
      const double one = tables * c * std::pow(1 - c, tables - 1);
      probabilities.push_back(min_matches == 1 ? 1 - none : 1 - none - one);
    }
  }
  return probabilities;
}

class MagicPigTransforms : public testing::TestWithParam<std::tuple<std::string, int>> {
 protected:
  std::string transform() const { return std::get<0>(GetParam()); }
  int min_matches() const { return std::get<1>(GetParam()); }
  MaskerUse masker(int tables, int bits) const {
    return sampler(tables, bits,
                   {{"transform", transform()}, {"min_matches", std::to_string(min_matches())}});
  }
};

INSTANTIATE_TEST_SUITE_P(Of,
                         MagicPigTransforms,
                         testing::Combine(testing::Values("cosine", "simple_lsh"),
                                          testing::Values(1, 2)),
                         [](const auto& row) {
                           return std::get<0>(row.param) + "_with_" +
                                  std::to_string(std::get<1>(row.param)) + "_matches";
                         });

TEST_P(MagicPigTransforms, ProbabilitiesFollowTheAngles) {
  for (const DType dtype : {DType::kFloat32, DType::kFloat16}) {
    const MaskerProblem problem({2, 6, 2, 3, 90, 16}, {.dtype = dtype, .key_spread = 0.5});
    const std::vector<double> expected = inclusion(problem, 12, 4, transform(), min_matches());
    const std::vector<float> weights = to_dense(run({masker(12, 4)}, problem).mask);
    int taken = 0;
    for (std::size_t i = 0; i < weights.size(); ++i) {
      if (weights[i] == 0) continue;
      EXPECT_NEAR(weights[i] / expected[i], 1, 1e-4);
      ++taken;
    }
    EXPECT_GT(taken, 100);
  }
}

TEST_P(MagicPigTransforms, NearlyCertainTablesAreDenseAttention) {
  for (const std::int64_t group : {1, 3, 8}) {
    for (const std::int64_t queries : {1, 70}) {
      const MaskerProblem problem({1, 2 * group, 2, queries, 103, 16}, {.causal = true});
      const Mask mask = run({masker(200, 1)}, problem).mask;
      EXPECT_EQ(density(mask), 1);
      expect_dense_attention(mask, problem);
    }
  }
}

TEST_P(MagicPigTransforms, KeepsTheRulesOfASelection) {
  expect_selection_rules({use("sink", {{"", "2"}}), masker(10, 4)},
                         MaskerProblem({2, 4, 2, 130, 200, 8}, {.causal = true}));
}

TEST_P(MagicPigTransforms, AppendedKeysAreHashedUnderTheBuild) {
  const MaskerProblem problem({2, 4, 2, 2, 150, 8}, {.key_spread = 1});
  expect_index_appends(masker(12, 3), problem, 100);
}

TEST(MagicPig, NewKeysCanStayExact) {
  const MaskerProblem problem({1, 2, 1, 2, 150, 8});
  rules::MaskerIndex masker = index_over(sampler(12, 3, {{"new_keys", "exact"}}), problem, 100);
  masker.append(150);
  const Mask mask = masker.select();
  rules::MaskerIndex hashed = index_over(sampler(12, 3), problem, 100);
  hashed.append(150);
  const Mask all_hashed = hashed.select();
  for (std::int64_t h = 0; h < 2; ++h) {
    for (std::int64_t i = 0; i < 2; ++i) {
      for (std::int64_t key = 0; key < 150; ++key) {
        EXPECT_EQ(mask.probability(0, h, i, key),
                  key >= 100 ? 1 : all_hashed.probability(0, h, i, key));
      }
    }
  }
}

TEST(MagicPig, CandidatesAreInactiveAndBetweenTheOffsets) {
  const MaskerProblem problem({1, 1, 1, 2, 100, 8});
  const Mask mask = run({use("strided", {{"stride", "2"}}),
                         sampler(200, 1, {{"init_offset", "10"}, {"local_offset", "20%"}})},
                        problem)
                        .mask;
  for (std::int64_t key = 0; key < 100; ++key) {
    EXPECT_EQ(mask.probability(0, 0, 0, key) > 0, key % 2 == 0 || (key >= 10 && key < 80)) << key;
  }
  EXPECT_EQ(count(run({sampler(8, 2, {{"init_offset", "100"}})}, problem).mask).active_entries, 0);
  const Mask full = Mask::full(problem.inputs().visibility);
  EXPECT_EQ(run({use("sink", {{"", "100%"}}), sampler(8, 2)}, problem).mask, full);
}

// Keys equal to their mean are nothing once centred: at a right angle to every query.
TEST(MagicPig, OneKeyHasTheProbabilityOfARightAngle) {
  const MaskerProblem problem({1, 1, 1, 1, 1, 8});
  int taken = 0;
  for (std::uint64_t seed = 0; seed < 50; ++seed) {
    const float p = run({sampler(4, 2, {{"min_matches", "1"}})}, problem, {.seed = seed})
                        .mask.probability(0, 0, 0, 0);
    if (p > 0) {
      EXPECT_FLOAT_EQ(p, static_cast<float>(1 - std::pow(0.75, 4)));
      ++taken;
    }
  }
  EXPECT_GT(taken, 0);
}

TEST(MagicPig, SixtyFourBitsHardlyEverMatch) {
  const MaskerProblem problem({1, 2, 1, 3, 100, 8});
  EXPECT_LT(density(run({sampler(4, 64)}, problem).mask), 0.05);
}

TEST(MagicPig, ReportsItsIndexAndWhatItScores) {
  const MaskerProblem problem({1, 2, 1, 3, 100, 8}, {.causal = true});
  const Selection selection = run({sampler(12, 3)}, problem);
  const MaskerReport report = report_of(selection, "magic_pig");
  EXPECT_EQ(report.keys_scored, count(selection.mask).active_entries);
  EXPECT_GT(report.bytes_read, report.keys_scored * 8 * 4);
  EXPECT_GT(report.index_bytes, 100 * 12 * 4);
  EXPECT_TRUE(report.index_spans_future);
}

TEST(MagicPig, BadArgumentsSayWhatWouldBeRight) {
  EXPECT_EQ(error_of("magic_pig", {{"tables", "0"}}), "\"tables\" is 0; it must be in [1, 4096]");
  EXPECT_EQ(error_of("magic_pig", {{"bits", "65"}}), "\"bits\" is 65; it must be in [1, 64]");
  EXPECT_EQ(error_of("magic_pig", {{"min_matches", "3"}}),
            "\"min_matches\" is 3; it must be in [1, 2]");
  EXPECT_EQ(error_of("magic_pig", {{"transform", "l2"}}),
            "\"transform\" is \"l2\"; it must be cosine | simple_lsh");
  EXPECT_NE(error_of("magic_pig", {{"tables", "1"}})
                .find("masker \"magic_pig\" cannot be created: min_matches is 2, but there is 1 "
                      "table; give at least 2 tables, or min_matches 1"),
            std::string::npos);
}

// Inclusion frequencies of each key (statistics::inclusion_p_value over all rows and keys; rows
// share the tables of a seed) against the exact probabilities. The twin claims them 10 % higher.
TEST_P(MagicPigTransforms, KeysAreTakenWithTheStatedProbability) {
  const MaskerProblem problem({1, 2, 1, 2, 32, 8}, {.key_spread = 0.3});
  const std::vector<double> expected = inclusion(problem, 8, 2, transform(), min_matches());
  std::vector<double> planted;
  for (const double p : expected) planted.push_back(std::min(1.0, kPlanted * p));
  std::vector<std::int64_t> counts(expected.size());
  for_each_seed({masker(8, 2)}, problem, kSeeds, [&](const std::vector<float>& weights) {
    for (std::size_t i = 0; i < weights.size(); ++i) counts[i] += weights[i] > 0 ? 1 : 0;
  });
  expect_found(statistics::inclusion_p_value(counts, kSeeds, expected),
               statistics::inclusion_p_value(counts, kSeeds, planted));
}

TEST_P(MagicPigTransforms, DenominatorAndNumeratorAreUnbiased) {
  expect_unbiased({use("sink", {{"", "2"}}), masker(8, 2)},
                  MaskerProblem({1, 2, 1, 2, 48, 4}, {.key_spread = 0.3}));
}

}  // namespace
}  // namespace maskerade
