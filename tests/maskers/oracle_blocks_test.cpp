#include "tests/maskers/block_checks.hpp"

namespace maskerade {
namespace {

// The mass that each block's keys beyond the sink have, summed over the queries.
void expect_oracle_blocks(const BlockCase& how,
                          const MaskerProblem& problem,
                          std::int64_t budget_keys) {
  expect_best_blocks(how, {use("oracle_blocks", how.given())}, problem, budget_keys,
                     [&](auto b, auto head, const auto& queries) {
                       std::vector<double> masses(static_cast<std::size_t>(
                           (problem.shape().key_len + how.block - 1) / how.block));
                       for (const std::int64_t i : queries) {
                         const auto weights = softmax_of(problem.logits(b, head, i));
                         for (std::size_t key = 0; key < weights.size(); ++key) {
                           if (static_cast<std::int64_t>(key) < how.sink) continue;
                           masses[key / static_cast<std::size_t>(how.block)] += weights[key];
                         }
                       }
                       return masses;
                     });
}

TEST(OracleBlocks, TakesTheBlocksWithTheMostMass) {
  for (const AttentionShape& shape : edge_shapes()) {
    for (const bool causal : {false, true}) {
      const MaskerProblem problem(shape, {.causal = causal});
      expect_oracle_blocks({.block = 16, .budget = "40"}, problem, 40);
      expect_oracle_blocks({.block = 24, .budget = "100"}, problem, 100);
      expect_oracle_blocks({.budget = "1"}, problem, 1);
      expect_oracle_blocks({.block = 100, .budget = "1000"}, problem, 1000);
    }
  }
}

TEST(OracleBlocks, ActiveKeysHaveNoMassAndFullBlocksAreNoCandidates) {
  const MaskerProblem problem({1, 6, 2, 70, 150, 8}, {.causal = true});
  for (const std::int64_t sink : {5, 16, 100, 150}) {
    expect_oracle_blocks({.block = 16, .budget = "50", .sink = sink}, problem, 50);
    expect_oracle_blocks({.block = 16, .budget = "64", .counts = "total", .sink = sink}, problem,
                         64);
  }
}

TEST(OracleBlocks, SharingHeadsPoolTheirMasses) {
  const MaskerProblem problem({2, 6, 2, 40, 150, 8}, {.causal = true});
  for (const std::string share : {"kv_head", "all"}) {
    for (const std::string reduce : {"sum", "max"}) {
      expect_oracle_blocks(
          {.block = 16, .budget = "30%", .share = share, .reduce = reduce, .sink = 3}, problem, 45);
    }
  }
}

TEST(OracleBlocks, EqualMassesAreTakenFromTheFirstKeyOn) {
  const MaskerProblem problem({1, 2, 1, 1, 128, 8}, {.equal_keys = 128});
  expect_keys(run({use("oracle_blocks", {{"", "32"}, {"block", "16"}})}, problem).mask, problem,
              [](auto, auto, auto) {
                std::vector<std::int64_t> keys(32);
                std::iota(keys.begin(), keys.end(), 0);
                return keys;
              });
}

TEST(OracleBlocks, EveryBlockIsDenseAttention) {
  const MaskerProblem problem({1, 8, 1, 70, 203, 8}, {.causal = true});
  const Mask mask = run({use("oracle_blocks", {{"", "100%"}})}, problem).mask;
  expect_dense_attention(mask, problem);
  EXPECT_EQ(density(mask), 1);
  EXPECT_LT(density(run({use("oracle_blocks", {{"", "202"}})}, problem).mask), 1);
}

TEST(OracleBlocks, ReadsTheKeysOfAGroupOnceAtDecode) {
  expect_keys_read_once_at_decode("oracle_blocks", {{"", "40"}, {"block", "16"}});
}

TEST(OracleBlocks, KeepsTheRulesOfASelection) {
  for (const std::string share : {"query_head", "kv_head"}) {
    expect_selection_rules({use("oracle_blocks", {{"", "40"}, {"block", "20"}, {"share", share}})},
                           MaskerProblem({2, 4, 2, 230, 300, 8}, {.causal = true}));
  }
}

TEST(OracleBlocks, BadArgumentsSayWhatWouldBeRight) {
  EXPECT_EQ(error_of("oracle_blocks", {}),
            "\"oracle_blocks\" needs \"budget\" (tokens): keys to select, in whole blocks: at "
            "least one, all once it reaches every key");
  EXPECT_EQ(error_of("oracle_blocks", {{"", "8"}, {"block", "0"}}),
            "\"block\" is 0; it must be in [1, 1048576]");
  EXPECT_EQ(error_of("oracle_blocks", {{"", "8"}, {"counts", "all"}}),
            "\"counts\" is \"all\"; it must be extra | total");
}

}  // namespace
}  // namespace maskerade
