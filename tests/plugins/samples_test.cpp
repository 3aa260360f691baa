// What the samples of plugins/ select. strided, dilated_window and the template are in
// tests/framework/pipeline/pipeline_test.cpp.
#include "tests/maskers/scorer_checks.hpp"

namespace maskerade {
namespace {

TEST(BlockStride, TakesTheOwnBlockAndEveryStrideThBefore) {
  const MaskerProblem problem({2, 4, 2, 90, 150, 8}, {.causal = true});
  const Mask mask = run({use("block_stride", {{"stride", "3"}, {"block", "16"}})}, problem).mask;
  EXPECT_EQ(mask.extent(), (MaskExtent{1, 1}));  // shape alone: one copy
  for (std::int64_t query = 0; query < 90; ++query) {
    const std::int64_t position = 60 + query;
    for (std::int64_t key = 0; key < 150; ++key) {
      const std::int64_t blocks = position / 16 - key / 16;
      EXPECT_EQ(mask.probability(0, 0, query, key) == 1.0F,
                key <= position && blocks % 3 == 0 && blocks >= 0)
          << query << ", " << key;
    }
  }
}

TEST(BlockStride, KeepsTheRulesOfASelection) {
  expect_selection_rules({use("block_stride", {{"stride", "2"}, {"block", "8"}})},
                         MaskerProblem({2, 4, 2, 70, 130, 8}, {.causal = true}));
}

TEST(RecentTopK, TakesTheBestByTheLogitLessThePenalty) {
  const MaskerProblem problem({2, 4, 2, 9, 120, 8}, {.causal = true});
  const AttentionInputs& inputs = problem.inputs();
  const float slope = 0.25F;
  const Score score = [&](std::int64_t b, std::int64_t h, std::int64_t i, std::int64_t key) {
    const auto q = MaskerProblem::row_of(inputs.q, b, h, i);
    const auto k = MaskerProblem::row_of(inputs.k, b, inputs.shape.kv_head_of(h), key);
    float product = 0;
    for (std::size_t d = 0; d < q.size(); ++d) product = std::fma(q[d], k[d], product);
    return inputs.scale * product - slope * static_cast<float>(inputs.visibility.position(i) - key);
  };
  for (const std::int64_t budget : {1, 7, 200}) {
    const Mask mask =
        run({use("recent_topk", {{"budget", std::to_string(budget)}, {"slope", "0.25"}})}, problem)
            .mask;
    for (std::int64_t row = 0; row < 2 * 4 * 9; ++row) {
      const std::int64_t b = row / 36;
      const std::int64_t h = row / 9 % 4;
      const std::int64_t i = row % 9;
      std::vector<std::int64_t> keys(static_cast<std::size_t>(inputs.visibility.end(i)));
      std::iota(keys.begin(), keys.end(), 0);
      std::stable_sort(keys.begin(), keys.end(), [&](std::int64_t left, std::int64_t right) {
        return score(b, h, i, left) > score(b, h, i, right);
      });
      keys.resize(std::min(keys.size(), static_cast<std::size_t>(budget)));
      for (std::int64_t key = 0; key < 120; ++key) {
        EXPECT_EQ(mask.probability(b, h, i, key) == 1.0F,
                  std::find(keys.begin(), keys.end(), key) != keys.end())
            << "row " << row << ", key " << key;
      }
    }
  }
}

TEST(RecentTopK, KeepsTheRulesOfASelection) {
  for (const char* share : {"query_head", "kv_head", "all"}) {
    expect_selection_rules(
        {use("sink", {{"", "2"}}), use("recent_topk", {{"budget", "5%"}, {"share", share}})},
        MaskerProblem({2, 4, 2, 70, 130, 8}, {.causal = true}));
  }
}

}  // namespace
}  // namespace maskerade
