#include <numeric>
#include <set>

#include "tests/maskers/deterministic_checks.hpp"

namespace maskerade {
namespace {

struct TopP {
  double mass = 0.5;
  bool of_row = true;
  std::string share = "query_head";
  std::string reduce = "sum";

  MaskerUse use() const {
    return maskerade::use("oracle_topp", {{"mass", std::to_string(mass)},
                                          {"of", of_row ? "row" : "residual"},
                                          {"share", share},
                                          {"reduce", reduce}});
  }
  // By the definition: sort, walk, take ties. active: the keys of the row before.
  std::vector<std::int64_t> expected(const MaskerProblem& problem,
                                     std::int64_t b,
                                     std::int64_t h,
                                     std::int64_t i,
                                     const std::vector<std::int64_t>& active) const {
    const auto [first, end] = sharing_heads(problem.shape(), share, h);
    std::vector<double> weights = softmax_of(problem.logits(b, first, i));
    for (std::int64_t other = first + 1; other < end; ++other) {
      const std::vector<double> more = softmax_of(problem.logits(b, other, i));
      for (std::size_t j = 0; j < weights.size(); ++j) {
        weights[j] = reduce == "sum" ? weights[j] + more[j] : std::max(weights[j], more[j]);
      }
    }
    double taken = 0;
    double total = std::accumulate(weights.begin(), weights.end(), 0.0);
    std::set<std::int64_t> result(active.begin(), active.end());
    for (const std::int64_t key : active) {
      (of_row ? taken : total) += (of_row ? 1 : -1) * weights[static_cast<std::size_t>(key)];
    }
    std::vector<std::int64_t> order;
    for (std::int64_t j = 0; j < static_cast<std::int64_t>(weights.size()); ++j) {
      if (!result.contains(j)) order.push_back(j);
    }
    const auto weight = [&](std::int64_t key) { return weights[static_cast<std::size_t>(key)]; };
    std::stable_sort(order.begin(), order.end(),
                     [&](auto a, auto c) { return weight(a) > weight(c); });
    double least = 0;
    for (const std::int64_t key : order) {
      if (taken > mass * total && weight(key) < least * (1 - 1e-9)) break;
      if (taken > mass * total && least == 0) break;
      result.insert(key);
      taken += weight(key);
      least = weight(key);
    }
    return {result.begin(), result.end()};
  }
};

void expect_top_p(const TopP& top_p,
                  const MaskerProblem& problem,
                  const NamedArguments& sink = {}) {
  std::vector<MaskerUse> pipeline;
  if (!sink.empty()) pipeline.push_back(use("sink", sink));
  const Mask before =
      broadcast(run(pipeline, problem).mask, {problem.shape().batch, problem.shape().query_heads});
  pipeline.push_back(top_p.use());
  expect_keys(run(pipeline, problem).mask, problem, [&](auto b, auto h, auto i) {
    return top_p.expected(problem, b, h, i, keys_of(before, b, h, i));
  });
}

TEST(OracleTopP, TakesThePrefixThatExceedsTheMass) {
  for (const AttentionShape& shape : edge_shapes()) {
    for (const bool causal : {false, true}) {
      const MaskerProblem problem(shape, {.causal = causal});
      expect_top_p({.mass = 0.5}, problem);
      expect_top_p({.mass = 0.9, .of_row = false}, problem);
    }
  }
}

TEST(OracleTopP, CountsWhatIsActiveAsTakenOrLeavesItOut) {
  const MaskerProblem problem({1, 6, 2, 70, 150, 8}, {.causal = true});
  for (const bool of_row : {true, false}) {
    expect_top_p({.mass = 0.6, .of_row = of_row}, problem, {{"", "20"}});
    expect_top_p({.mass = 0.6, .of_row = of_row}, problem, {{"", "100%"}});
  }
}

TEST(OracleTopP, SharingHeadsPoolTheirSoftmax) {
  const MaskerProblem problem({2, 6, 2, 5, 150, 8}, {.causal = true});
  for (const std::string share : {"kv_head", "all"}) {
    for (const std::string reduce : {"sum", "max"}) {
      expect_top_p({.mass = 0.7, .share = share, .reduce = reduce}, problem, {{"", "3"}});
    }
  }
}

TEST(OracleTopP, MoreThanTheMassIsThereAlready) {
  const MaskerProblem problem({1, 1, 1, 3, 40, 8});
  const Mask sink = run({use("sink", {{"", "39"}})}, problem).mask;
  const Mask both = run({use("sink", {{"", "39"}}), TopP{.mass = 0.1}.use()}, problem).mask;
  EXPECT_TRUE(density(both) == density(sink));
}

TEST(OracleTopP, EverythingIsEveryKey) {
  const MaskerProblem problem({1, 2, 1, 70, 203, 8}, {.causal = true});
  EXPECT_EQ(density(run({TopP{.mass = 1}.use()}, problem).mask), 1);
  expect_dense_attention(run({TopP{.mass = 1}.use()}, problem).mask, problem);
}

// Equal keys have equal scores: the last of the prefix brings all of its ties.
TEST(OracleTopP, TiesOfTheLastKeyComeToo) {
  const MaskerProblem problem({1, 2, 1, 2, 96, 8}, {.equal_keys = 4});
  const Mask mask = run({TopP{.mass = 0.3}.use()}, problem).mask;
  for (std::int64_t h = 0; h < 2; ++h) {
    for (std::int64_t i = 0; i < 2; ++i) {
      const auto keys = keys_of(mask, 0, h, i);
      EXPECT_EQ(keys.size() % 4, 0U);
      for (const std::int64_t key : keys) {
        EXPECT_TRUE(std::count(keys.begin(), keys.end(), key / 4 * 4) == 1);
      }
    }
  }
}

TEST(OracleTopP, KeepsTheRulesOfASelection) {
  for (const std::string share : {"query_head", "kv_head"}) {
    expect_selection_rules({use("sink", {{"", "2"}}), TopP{.mass = 0.6, .share = share}.use()},
                           MaskerProblem({2, 4, 2, 130, 200, 8}, {.causal = true}));
  }
  expect_selection_rules({TopP{.mass = 0.6}.use()}, MaskerProblem({1, 4, 2, 1, 5000, 8}));
}

TEST(OracleTopP, BadArgumentsSayWhatWouldBeRight) {
  EXPECT_EQ(error_of("oracle_topp", {}),
            "\"oracle_topp\" needs \"mass\" (share): share of the softmax mass to exceed; 1: every "
            "key");
  EXPECT_EQ(error_of("oracle_topp", {{"mass", "0"}}), "\"mass\" is 0; it must be in (0, 1]");
  EXPECT_EQ(error_of("oracle_topp", {{"mass", "0.5"}, {"of", "rows"}}),
            "\"of\" is \"rows\"; it must be row | residual");
}

}  // namespace
}  // namespace maskerade
