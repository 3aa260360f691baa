#include <gtest/gtest.h>

#include <boost/math/distributions/normal.hpp>

#include "experiments/measure/coverage.hpp"
#include "tests/maskers/adaptive_budget.hpp"
#include "tests/maskers/sampler_checks.hpp"

namespace maskerade {
namespace {

MaskerUse sampler(const std::string& epsilon, NamedArguments given = {}) {
  given.emplace_back("epsilon", epsilon);
  return use("adaptive_sampling", given);
}

double normal_quantile(double probability) {
  return boost::math::quantile(boost::math::normal(), probability);
}

// One row of one draw: its weights and those of the base, which a run that asks for little shows:
// the same seed draws the same base, whatever else is asked.
struct RowDraw {
  std::vector<std::size_t> base;
  double statics = 0;  // sum of weight / p of what was active
  std::int64_t remaining = 0;
  std::int64_t draws = 0;
  std::vector<double> weights;  // of all keys
};

class AdaptiveSampling : public testing::Test {
 protected:
  // Calls check(row draw) for every row.
  template <typename Check>
  void for_each_row(const MaskerProblem& problem,
                    const Mask& previous,
                    const std::string& epsilon,
                    const NamedArguments& given,
                    Check&& check) {
    NamedArguments little = given;
    for (auto& [name, value] : little) {
      if (name == "delta") value = "99%";
    }
    const auto select = [&](const MaskerUse& masker) {
      const Threads threads(1);
      return to_dense(Pipeline({masker})
                          .prepare(problem.inputs(), {.seed = 5}, threads)
                          .select(threads, previous)
                          .mask);
    };
    const AttentionShape& shape = problem.shape();
    const std::vector<float> before =
        to_dense(broadcast(previous, {shape.batch, shape.query_heads}));
    const std::vector<float> base = select(sampler("99.9%", little));
    const std::vector<float> after = select(sampler(epsilon, given));
    const std::vector<double> weights = exact_weights(problem);
    const auto key_len = static_cast<std::size_t>(shape.key_len);
    for (std::size_t first = 0; first < weights.size(); first += key_len) {
      RowDraw row;
      row.weights.assign(&weights[first], &weights[first] + key_len);
      float probability = 1;
      for (std::size_t key = 0; key < key_len; ++key) {
        const std::size_t i = first + key;
        if (before[i] > 0) {
          row.statics += weights[i] / double{before[i]};
        } else if (base[i] == 1) {
          EXPECT_EQ(after[i], 1);
          row.base.push_back(key);
        } else {
          ++row.remaining;
          row.draws += after[i] > 0 ? 1 : 0;
          if (after[i] > 0) probability = after[i];
        }
      }
      EXPECT_EQ(probability, static_cast<float>(row.draws) / static_cast<float>(row.remaining));
      check(row);
    }
  }
};

TEST_F(AdaptiveSampling, DrawsWhatTheBaseSampleAsksFor) {
  const MaskerProblem problem({2, 4, 2, 3, 300, 16}, {.key_spread = 0.5});
  const Mask sink = run({use("sink", {{"", "20"}})}, problem).mask;
  for (const double delta : {0.05, 0.3}) {
    for (const bool one_sided : {false, true}) {
      const double z = normal_quantile(1 - (one_sided ? delta : delta / 2));
      const NamedArguments given = {{"delta", std::to_string(delta)},
                                    {"base", "30"},
                                    {"one_sided", one_sided ? "true" : "false"}};
      std::int64_t between = 0;
      for_each_row(problem, sink, "0.1", given, [&](const RowDraw& row) {
        ASSERT_EQ(row.base.size(), 30U);
        ASSERT_EQ(row.remaining, 250);
        std::vector<double> base;
        for (const std::size_t key : row.base) base.push_back(row.weights[key]);
        const BaseEstimate estimate = base_estimate(base, row.statics, 250);
        const double b = keys_needed(z, estimate.sigma, 250, 0.1, estimate.total);
        // Scores are float32: what lies at the edge of a whole number may fall on either side.
        EXPECT_GE(row.draws, adaptive_draws(b * (1 - 1e-5), 30, 250));
        EXPECT_LE(row.draws, adaptive_draws(b * (1 + 1e-5), 30, 250));
        between += row.draws > 30 && row.draws < 250 ? 1 : 0;
      });
      EXPECT_GT(between, 0);
    }
  }
}

TEST_F(AdaptiveSampling, WhatWasSampledBeforeCountsByItsProbability) {
  const MaskerProblem problem({1, 2, 1, 2, 120, 8});
  std::vector<float> weights(2 * 2 * 120, 0.0F);
  for (std::size_t i = 0; i < weights.size(); i += 4) weights[i] = i % 8 == 0 ? 0.25F : 1.0F;
  const Mask previous = from_dense(problem.inputs().visibility, {1, 2}, weights);
  for_each_row(problem, previous, "0.15", {{"delta", "10%"}, {"base", "20"}},
               [&](const RowDraw& row) {
                 std::vector<double> base;
                 for (const std::size_t key : row.base) base.push_back(row.weights[key]);
                 const BaseEstimate estimate = base_estimate(base, row.statics, 70);
                 const double b =
                     keys_needed(normal_quantile(0.95), estimate.sigma, 70, 0.15, estimate.total);
                 EXPECT_GE(row.draws, adaptive_draws(b * (1 - 1e-5), 20, 70));
                 EXPECT_LE(row.draws, adaptive_draws(b * (1 + 1e-5), 20, 70));
               });
}

// sigma: upper, term by term: sigma^2 + z' sd(y) / sqrt(n), y the squared distances from the mean;
// z' and z have half of delta each.
TEST_F(AdaptiveSampling, UpperSigmaIsTheStatedBound) {
  const MaskerProblem problem({1, 4, 2, 3, 300, 16});
  const NamedArguments given = {{"delta", "10%"}, {"base", "30"}, {"sigma", "upper"}};
  for_each_row(
      problem, Mask::empty(problem.inputs().visibility), "0.2", given, [&](const RowDraw& row) {
        std::vector<double> base;
        for (const std::size_t key : row.base) base.push_back(row.weights[key]);
        BaseEstimate estimate = base_estimate(base, 0, 270);
        const double mean = (estimate.total) / 300;
        std::vector<double> squares;
        for (const double weight : base) squares.push_back(std::pow(weight - mean, 2));
        const double spread = base_estimate(squares, 0, 0).sigma;
        const double sigma =
            std::sqrt(std::pow(estimate.sigma, 2) + normal_quantile(0.95) * spread / std::sqrt(30));
        const double b = keys_needed(normal_quantile(0.975), sigma, 270, 0.2, estimate.total);
        EXPECT_GE(row.draws, adaptive_draws(b * (1 - 1e-5), 30, 270));
        EXPECT_LE(row.draws, adaptive_draws(b * (1 + 1e-5), 30, 270));
      });
}

// target: output: the larger of the two needs, the numerator's from the trace of its variance.
TEST_F(AdaptiveSampling, OutputTargetAlsoBoundsTheNumerator) {
  const MaskerProblem problem({1, 2, 2, 1, 200, 4});
  const NamedArguments given = {{"delta", "10%"}, {"base", "40"}, {"target", "output"}};
  std::int64_t head = 0;
  std::int64_t more = 0;
  for_each_row(
      problem, Mask::empty(problem.inputs().visibility), "0.5", given, [&](const RowDraw& row) {
        double variance = 0;
        double length = 0;
        std::vector<double> base;
        for (const std::size_t key : row.base) base.push_back(row.weights[key]);
        const BaseEstimate estimate = base_estimate(base, 0, 160);
        for (std::size_t d = 0; d < 4; ++d) {
          std::vector<double> products;
          for (const std::size_t key : row.base) {
            products.push_back(row.weights[key] *
                               double{MaskerProblem::row_of(problem.inputs().v, 0, head,
                                                            static_cast<std::int64_t>(key))[d]});
          }
          const BaseEstimate numerator = base_estimate(products, 0, 160);
          variance += std::pow(numerator.sigma, 2);
          length += std::pow(numerator.total, 2);
        }
        const double z = normal_quantile(0.95);
        const double of_output = keys_needed(z, std::sqrt(variance), 160, 0.5, std::sqrt(length));
        const double b =
            std::max(keys_needed(z, estimate.sigma, 160, 0.5, estimate.total), of_output);
        EXPECT_GE(row.draws, adaptive_draws(b * (1 - 1e-4), 40, 160));
        EXPECT_LE(row.draws, adaptive_draws(b * (1 + 1e-4), 40, 160));
        more += row.draws > 40 && b == of_output ? 1 : 0;
        ++head;
      });
  EXPECT_GT(more, 0);
}

TEST_F(AdaptiveSampling, BaseIsAtLeastTwoAndAShareOfTheCandidates) {
  const MaskerProblem problem({1, 1, 1, 2, 200, 8});
  const auto ones = [&](const char* base) {
    const Mask mask =
        run({use("sink", {{"", "50%"}}), sampler("99.9%", {{"delta", "99%"}, {"base", base}})},
            problem)
            .mask;
    std::int64_t count = 0;
    for (std::int64_t key = 100; key < 200; ++key) {
      count += mask.probability(0, 0, 0, key) == 1 ? 1 : 0;
    }
    return count;
  };
  EXPECT_EQ(ones("0"), 2);
  EXPECT_EQ(ones("7"), 7);
  EXPECT_EQ(ones("29%"), 29);  // of the 100 candidates
}

TEST_F(AdaptiveSampling, FewCandidatesAreAllTaken) {
  const MaskerProblem problem({1, 2, 1, 3, 40, 8}, {.causal = true});
  const Mask all = Mask::full(problem.inputs().visibility, {1, 2});
  EXPECT_EQ(run({sampler("10%", {{"base", "40"}})}, problem).mask, all);
  EXPECT_EQ(run({use("sink", {{"", "36"}}), sampler("10%", {{"base", "1"}})}, problem).mask, all);
  EXPECT_EQ(run({use("sink", {{"", "100%"}}), sampler("10%")}, problem).mask, all);
  EXPECT_EQ(count(run({sampler("10%", {{"init_offset", "40"}})}, problem).mask).active_entries, 0);
}

TEST_F(AdaptiveSampling, LooseStatementAsksForAsManyAsTheBase) {
  const MaskerProblem problem({1, 1, 1, 1, 100, 8});
  const Mask mask =
      run({sampler("99.9%", {{"delta", "99%"}, {"base", "2"}, {"one_sided", "true"}})}, problem)
          .mask;
  EXPECT_EQ(mask.sampled(0, 0, 0).keys.size(), 2U);
}

TEST_F(AdaptiveSampling, AskingForEverythingIsDenseAttention) {
  for (const std::int64_t group : {1, 3, 8}) {
    for (const std::int64_t queries : {1, 70}) {
      for (const char* target : {"denominator", "output"}) {
        const MaskerProblem problem({1, 2 * group, 2, queries, 203, 16}, {.causal = true});
        const Mask mask = run({sampler("0.000001%", {{"target", target}})}, problem).mask;
        EXPECT_EQ(density(mask), 1);
        expect_dense_attention(mask, problem);
      }
    }
  }
}

TEST_F(AdaptiveSampling, KeepsTheRulesOfASelection) {
  for (const char* target : {"denominator", "output"}) {
    expect_selection_rules(
        {use("sink", {{"", "2"}}), sampler("20%", {{"target", target}})},
        MaskerProblem({2, 4, 2, 130, 200, 8}, {.causal = true, .dtype = DType::kBFloat16}));
  }
}

TEST_F(AdaptiveSampling, ScoresWhatIsActiveAndTheBase) {
  const MaskerProblem problem({1, 2, 1, 3, 100, 8});
  const auto report = [&](const char* target) {
    const std::vector<MaskerUse> maskers = {use("sink", {{"", "10"}}),
                                            sampler("20%", {{"base", "15"}, {"target", target}})};
    return report_of(run(maskers, problem), "adaptive_sampling");
  };
  EXPECT_EQ(report("denominator").keys_scored, 6 * 25);
  EXPECT_EQ(report("denominator").bytes_read, 6 * 25 * 8 * 4);
  EXPECT_EQ(report("output").bytes_read, 2 * 6 * 25 * 8 * 4);
}

TEST_F(AdaptiveSampling, BadArgumentsSayWhatWouldBeRight) {
  const auto error = [](const std::string& name, const std::string& value) {
    return error_of("adaptive_sampling", name == "epsilon"
                                             ? NamedArguments{{name, value}}
                                             : NamedArguments{{"epsilon", "0.1"}, {name, value}});
  };
  EXPECT_EQ(error_of("adaptive_sampling", {}),
            "\"adaptive_sampling\" needs \"epsilon\" (share): relative error to keep");
  EXPECT_EQ(error("epsilon", "0"), "\"epsilon\" is 0; it must be in (0, 1)");
  EXPECT_EQ(error("epsilon", "100%"), "\"epsilon\" is 100%; it must be in (0, 1)");
  EXPECT_EQ(error("delta", "1"), "\"delta\" is 1; it must be in (0, 1)");
  EXPECT_EQ(
      error("base", "0.05"),
      "\"base\" is 0.05, a bare number: write 5% for that share of key_len, or a whole number "
      "of tokens");
  EXPECT_EQ(error("target", "numerator"),
            "\"target\" is \"numerator\"; it must be denominator | output");
  EXPECT_EQ(error("sigma", "high"), "\"sigma\" is \"high\"; it must be estimate | upper");
}

// Inclusion frequencies of the base and of the second draw, which a loose epsilon keeps at one
// size (statistics::uniform_draws_p_value of each). The twin moves each draw of the upper half of
// the keys, with probability 1/10, to a key of the lower half.
TEST(AdaptiveSamplingStatistics, BothDrawsTakeEveryKeyAsOften) {
  constexpr std::size_t kKeys = 64;
  constexpr std::int64_t kBase = 12;
  const MaskerProblem problem({1, 1, 1, 1, kKeys, 4});
  const MaskerUse loose = sampler("99.9%", {{"delta", "99%"}, {"base", std::to_string(kBase)}});
  std::mt19937 engine(1);
  std::uniform_real_distribution<double> uniform;
  std::vector<std::int64_t> base(kKeys);
  std::vector<std::int64_t> second(kKeys);
  auto base_twin = base;
  auto second_twin = second;
  for_each_seed({loose}, problem, kSeeds, [&](const std::vector<float>& weights) {
    for (std::size_t key = 0; key < kKeys; ++key) {
      if (weights[key] == 0) continue;
      const bool is_base = weights[key] == 1;
      ++(is_base ? base : second)[key];
      const bool moved = key >= kKeys / 2 && uniform(engine) < 0.1;
      ++(is_base ? base_twin : second_twin)[moved ? key - kKeys / 2 : key];
    }
  });
  expect_found(statistics::uniform_draws_p_value(base, kSeeds, kBase),
               statistics::uniform_draws_p_value(base_twin, kSeeds, kBase), 2);
  expect_found(statistics::uniform_draws_p_value(second, kSeeds, kBase),
               statistics::uniform_draws_p_value(second_twin, kSeeds, kBase), 2);
}

TEST(AdaptiveSamplingStatistics, DenominatorAndNumeratorAreUnbiased) {
  expect_unbiased({use("sink", {{"", "4"}}), sampler("40%", {{"base", "8"}})},
                  MaskerProblem({1, 2, 1, 2, 96, 4}));
}

// The coverage of a pipeline. planted: what a twin multiplies the stated probabilities by.
Coverage coverage_of(const std::vector<MaskerUse>& maskers,
                     const MaskerProblem& problem,
                     std::int64_t seeds,
                     double planted = 1) {
  const MaskerUse& last = maskers.back();
  const std::vector<double> weights = exact_weights(problem);
  const auto key_len = static_cast<std::size_t>(problem.shape().key_len);
  CoverageTally tally(*stated_guarantee(last.type->descriptor(), *last.arguments),
                      weights.size() / key_len);
  for_each_seed(maskers, problem, seeds, [&](const std::vector<float>& probabilities) {
    for (std::size_t row = 0; row < weights.size() / key_len; ++row) {
      double exact = 0;
      double estimate = 0;
      for (std::size_t i = row * key_len; i < (row + 1) * key_len; ++i) {
        exact += weights[i];
        const double p = double{probabilities[i]};
        if (p > 0) estimate += weights[i] / (p < 1 ? p * planted : p);
      }
      tally.add(row, estimate, exact);
    }
  });
  return tally.finish();
}

// P(|D~ - D| > epsilon D) <= delta, see Coverage. The twin states the second draw's probabilities
// 10 % too high.
TEST(AdaptiveSamplingStatistics, GaussianDataDoesNotContradictTheStatement) {
  const MaskerProblem problem({1, 4, 2, 4, 512, 32});
  const std::vector<MaskerUse> maskers = {use("sink", {{"", "16"}}),
                                          use("oracle_topk", {{"", "16"}}),
                                          sampler("5%", {{"delta", "10%"}, {"base", "64"}})};
  const Coverage right = coverage_of(maskers, problem, 250);
  const Coverage twin = coverage_of(maskers, problem, 250, kPlanted);
  EXPECT_FALSE(right.is_contradicted()) << right.overall.rate;
  EXPECT_TRUE(twin.is_contradicted()) << twin.overall.rate;
}

}  // namespace
}  // namespace maskerade
