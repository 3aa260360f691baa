// oracle_topk, through the host's scoring and top-k, against sorting by definition.
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "framework/mask/set_operations.hpp"
#include "tests/framework/pipeline/test_problem.hpp"

namespace maskerade {
namespace {

// q.k in the documented order of summation.
float product(const AttentionInputs& inputs,
              std::int64_t b,
              std::int64_t head,
              std::int64_t query,
              std::int64_t key) {
  std::vector<float> q(static_cast<std::size_t>(inputs.shape.head_dim));
  std::vector<float> k(q.size());
  inputs.q.load_row(b, head, query, q.data());
  inputs.k.load_row(b, inputs.shape.kv_head_of(head), key, k.data());
  float sum = 0;
  for (std::size_t d = 0; d < q.size(); ++d) sum = std::fma(q[d], k[d], sum);
  return sum;
}

// The inactive visible keys by pooled score, highest first, ties to the lower key.
std::vector<std::int64_t> ranked(const AttentionInputs& inputs,
                                 const Mask& previous,
                                 std::int64_t b,
                                 std::int64_t head,
                                 std::int64_t heads_begin,
                                 std::int64_t heads_end,
                                 bool sum,
                                 std::int64_t query) {
  std::vector<std::pair<float, std::int64_t>> scored;
  for (std::int64_t key = 0; key < inputs.visibility.end(query); ++key) {
    if (previous.probability(previous.extent_batch(b),
                             previous.extent_head(head, inputs.shape.query_heads), query,
                             key) > 0) {
      continue;
    }
    float pooled = product(inputs, b, heads_begin, query, key);
    for (std::int64_t other = heads_begin + 1; other < heads_end; ++other) {
      const float score = product(inputs, b, other, query, key);
      pooled = sum ? pooled + score : std::max(pooled, score);
    }
    scored.emplace_back(-pooled, key);
  }
  std::sort(scored.begin(), scored.end());
  std::vector<std::int64_t> keys;
  for (const auto& [score, key] : scored) keys.push_back(key);
  return keys;
}

// Checks that `mask` is `previous` and the first `budget` ranked keys of every row.
void expect_top_k(const AttentionInputs& inputs,
                  const Mask& previous,
                  const Mask& mask,
                  std::int64_t budget,
                  std::int64_t heads_together,
                  bool sum) {
  for (std::int64_t b = 0; b < inputs.shape.batch; ++b) {
    for (std::int64_t head = 0; head < inputs.shape.query_heads; ++head) {
      const std::int64_t begin = head / heads_together * heads_together;
      for (std::int64_t query = 0; query < inputs.shape.query_len; ++query) {
        const auto keys =
            ranked(inputs, previous, b, head, begin, begin + heads_together, sum, query);
        std::vector<bool> expected(static_cast<std::size_t>(inputs.shape.key_len));
        for (std::int64_t key = 0; key < inputs.shape.key_len; ++key) {
          expected[static_cast<std::size_t>(key)] =
              previous.probability(previous.extent_batch(b),
                                   previous.extent_head(head, inputs.shape.query_heads), query,
                                   key) > 0;
        }
        const auto taken = std::min<std::int64_t>(budget, static_cast<std::int64_t>(keys.size()));
        for (std::int64_t i = 0; i < taken; ++i) {
          expected[static_cast<std::size_t>(keys[static_cast<std::size_t>(i)])] = true;
        }
        for (std::int64_t key = 0; key < inputs.shape.key_len; ++key) {
          RC_ASSERT((mask.probability(b, head, query, key) > 0) ==
                    expected[static_cast<std::size_t>(key)]);
        }
      }
    }
  }
}

RC_GTEST_PROP(OracleTopK, TakesTheLargestVisibleInactiveKeys, ()) {
  const AttentionShape shape = [] {
    const auto kv_heads = *rc::gen::inRange<std::int64_t>(1, 3);
    const auto group = *rc::gen::element<std::int64_t>(1, 3);
    return AttentionShape{*rc::gen::inRange<std::int64_t>(1, 3),
                          kv_heads * group,
                          kv_heads,
                          *rc::gen::element<std::int64_t>(1, 5, 70),
                          *rc::gen::element<std::int64_t>(70, 128, 150),
                          *rc::gen::element<std::int64_t>(1, 8, 20)};
  }();
  const bool causal = *rc::gen::arbitrary<bool>();
  const TestProblem problem(shape,
                            causal ? Visibility::causal(shape.query_len, shape.key_len)
                                   : Visibility::all(shape.query_len, shape.key_len),
                            *rc::gen::inRange<std::uint64_t>(0, 1000));
  const auto budget = *rc::gen::element<std::int64_t>(0, 1, 7, 64, 1000);
  const auto share = *rc::gen::element<std::string>("query_head", "kv_head", "all");
  const auto reduce = *rc::gen::element<std::string>("sum", "max");
  const std::int64_t together = share == "all"       ? shape.query_heads
                                : share == "kv_head" ? shape.group_size()
                                                     : 1;

  const std::vector<MaskerUse> before = {use("sink", {{"", {"2"}}}), use("local", {{"", {"4"}}})};
  const Mask previous = run(before, problem).mask;
  std::vector<MaskerUse> maskers = before;
  maskers.push_back(
      use("oracle_topk",
          {{"budget", {std::to_string(budget)}}, {"share", {share}}, {"reduce", {reduce}}}));
  expect_top_k(problem.inputs(), previous, run(maskers, problem, {}, 2).mask, budget, together,
               reduce == "sum");
}

TEST(OracleTopK, TotalBudgetCountsWhatIsActive) {
  const AttentionShape shape{1, 2, 1, 3, 100, 8};
  const TestProblem problem(shape, Visibility::all(3, 100));
  const auto active = [&](const char* budget) {
    const Mask mask = run({use("sink", {{"", {"10"}}}),
                           use("oracle_topk", {{"", {budget}}, {"counts", {"total"}}})},
                          problem)
                          .mask;
    return count(mask).active_entries / (2 * 3);
  };
  EXPECT_EQ(active("25"), 25);
  EXPECT_EQ(active("5"), 10);
}

TEST(OracleTopK, CountsTheKeysItScoresAndReadsEachKeyOncePerGroup) {
  const AttentionShape shape{2, 4, 2, 1, 100, 8};
  const TestProblem problem(shape, Visibility::all(1, 100));
  const Selection selection = run({use("oracle_topk", {{"", {"5"}}})}, problem);
  const MaskerReport report = report_of(selection, "oracle_topk");
  EXPECT_EQ(report.keys_scored, 2 * 4 * 100);
  EXPECT_EQ(report.bytes_read, 2 * 2 * 100 * 8 * 4);
}

// One kv head is one unit: its keys are shared out among the threads.
TEST(OracleTopK, OneUnitOverManyKeysIsTheSameForAnyThreadCount) {
  for (const char* share : {"query_head", "kv_head"}) {
    const AttentionShape shape{1, 3, 1, 1, 10000, 8};
    const TestProblem problem(shape, Visibility::causal(1, 10000));
    const MaskerUse sink = use("sink", {{"", {"5"}}});
    const std::vector<MaskerUse> maskers = {
        sink, use("oracle_topk", {{"", {"300"}}, {"share", {share}}})};
    const Mask one = run(maskers, problem, {}, 1).mask;
    expect_top_k(problem.inputs(), run({sink}, problem).mask, one, 300,
                 share == std::string("kv_head") ? 3 : 1, true);
    for (const int threads : {2, 3, 8}) EXPECT_EQ(run(maskers, problem, {}, threads).mask, one);
  }
}

// More packed keys than are kept at once.
TEST(OracleTopK, LongPrefillPacksKeysAgain) {
  const AttentionShape shape{1, 2, 2, 9, 4500, 256};
  const TestProblem problem(shape, Visibility::causal(9, 4500));
  const Mask mask = run({use("oracle_topk", {{"", {"50"}}})}, problem, {}, 2).mask;
  expect_top_k(problem.inputs(), Mask::empty(problem.inputs().visibility), mask, 50, 1, true);
}

TEST(OracleTopK, TiesGoToTheLowerKey) {
  const AttentionShape shape{1, 1, 1, 1, 300, 4};
  const std::vector<float> ones(1200, 1.0F);
  const Tensor q = Tensor::from_floats(DType::kFloat32, 1, 1, 1, 4, ones.data());
  const Tensor k = Tensor::from_floats(DType::kFloat32, 1, 1, 300, 4, ones.data());
  const AttentionInputs inputs{shape, q.view(), k.view(), k.view(), 1.0F, Visibility::all(1, 300),
                               0};
  const Mask mask = Pipeline({use("oracle_topk", {{"", {"70"}}})})
                        .prepare(inputs, {}, Threads(1))
                        .select(Threads(1))
                        .mask;
  for (std::int64_t key = 0; key < 300; ++key) {
    EXPECT_EQ(mask.probability(0, 0, 0, key), key < 70 ? 1.0F : 0.0F);
  }
}

}  // namespace
}  // namespace maskerade
