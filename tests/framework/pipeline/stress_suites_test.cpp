// The eight published stress suites: top-k on top of a previous mask, straight through the pipeline
// and built apart, then merged. Both ways give the same mask, bit for bit.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <ostream>
#include <string>
#include <vector>

#include "experiments/rules/masker_rules.hpp"
#include "experiments/rules/published_suites.hpp"
#include "framework/base/error.hpp"
#include "framework/mask/conversions.hpp"
#include "framework/mask/set_operations.hpp"
#include "tests/experiments/rules/expect_rule.hpp"
#include "tests/framework/pipeline/test_problem.hpp"

namespace maskerade {
namespace {

using rules::PublishedCase;

}  // namespace

// Where gtest finds it.
namespace rules {
static void PrintTo(const PublishedCase& published, std::ostream* stream) {
  *stream << published.suite << " " << published.shape.to_string() << " budget "
          << published.budget_text();
}
}  // namespace rules

namespace {

// The top keys alone: the active ones excluded by hand, the rest sorted by score, then key.
Mask build_top_k(const PublishedCase& published,
                 const AttentionInputs& inputs,
                 const Mask& previous) {
  const AttentionShape& shape = published.shape;
  std::vector<std::int64_t> indices;
  std::vector<float> q(static_cast<std::size_t>(shape.head_dim));
  std::vector<float> k(q.size());
  for (std::int64_t row = 0; row < shape.rows(); ++row) {
    const std::int64_t query = row % shape.query_len;
    const std::int64_t head = row / shape.query_len % shape.query_heads;
    const std::int64_t batch = row / shape.query_len / shape.query_heads;
    inputs.q.load_row(batch, head, query, q.data());
    std::vector<std::pair<float, std::int64_t>> candidates;
    for (std::int64_t key = 0; key < inputs.visibility.end(query); ++key) {
      if (previous.probability(batch, head, query, key) > 0) continue;
      inputs.k.load_row(batch, shape.kv_head_of(head), key, k.data());
      float score = 0;
      for (std::size_t d = 0; d < q.size(); ++d) score = std::fma(q[d], k[d], score);
      candidates.emplace_back(-score, key);
    }
    std::sort(candidates.begin(), candidates.end());
    const auto taken =
        std::min<std::size_t>(candidates.size(), static_cast<std::size_t>(published.budget_keys()));
    for (std::size_t i = 0; i < taken; ++i) {
      indices.push_back(row * shape.key_len + candidates[i].second);
    }
  }
  return from_flat(inputs.visibility, {shape.batch, shape.query_heads}, indices, {});
}

class StressSuites : public testing::TestWithParam<PublishedCase> {};

TEST_P(StressSuites, DirectTopKEqualsBuildThenMerge) {
  const PublishedCase& published = GetParam();
  const AttentionShape& shape = published.shape;
  const Visibility visibility = published.is_causal
                                    ? Visibility::causal(shape.query_len, shape.key_len)
                                    : Visibility::all(shape.query_len, shape.key_len);
  const TestProblem problem(shape, visibility, 11);
  const Mask previous =
      rules::previous_mask(published.previous, visibility, {shape.batch, shape.query_heads}, 7);
  const Mask built = build_top_k(published, problem.inputs(), previous);
  const Mask merged = union_of(previous, built);
  const Pipeline pipeline({use("oracle_topk", {{"budget", {published.budget_text()}}})});
  for (const int count : {1, 2}) {
    const Threads threads(count);
    const PreparedPipeline prepared = pipeline.prepare(problem.inputs(), {}, threads);
    EXPECT_EQ(prepared.select(threads, previous).mask, merged) << count << " threads";
  }
  const rules::Selector select = rules::selector_of(pipeline);
  const rules::SelectionRequest request{.inputs = problem.inputs(), .previous = &previous};
  rules::RowBudget budget = rules::budget_of(pipeline.maskers().front(), "budget");
  budget.is_spent = true;
  EXPECT_TRUE(rules::holds(rules::check_visible_entries_alone(select, request)));
  EXPECT_TRUE(rules::holds(rules::check_selection_keeps_previous(select, request)));
  EXPECT_TRUE(rules::holds(rules::check_budget(select, request, budget)));
  EXPECT_EQ(intersection_of(previous, built), Mask::empty(visibility, previous.extent()));
  EXPECT_GT(count(built).active_entries, 0);
}

// "empty_previous_0": the case and its number among all.
INSTANTIATE_TEST_SUITE_P(Published,
                         StressSuites,
                         testing::ValuesIn(rules::published_cases().begin(),
                                           rules::published_cases().end()),
                         [](const auto& with) {
                           std::string name = with.param.suite;
                           std::replace(name.begin(), name.end(), ' ', '_');
                           return name + "_" + std::to_string(with.index);
                         });

TEST(SelectFromPreviousMask, ABudgetBeyondTheInactiveKeysTakesThemAll) {
  const TestProblem problem({1, 1, 1, 2, 6, 8}, Visibility::causal(2, 6));
  const Mask previous =
      from_flat(Visibility::causal(2, 6), {}, std::vector<std::int64_t>{1, 8}, {});
  const Threads threads(1);
  EXPECT_EQ(Pipeline({use("oracle_topk", {{"budget", {"6"}}})})
                .prepare(problem.inputs(), {}, threads)
                .select(threads, previous)
                .mask,
            Mask::full(Visibility::causal(2, 6)));
}

TEST(SelectFromPreviousMask, KeepsWhatThePreviousMaskHasForEveryKvHead) {
  const Visibility visibility = Visibility::all(1, 4);
  const TestProblem problem({1, 4, 2, 1, 4, 8}, visibility);
  const Mask previous =
      from_dense(visibility, {1, 2}, std::vector<float>{0, .5F, 0, 0, 1, 0, 0, 0});
  const Threads threads(1);
  EXPECT_EQ(to_dense(Pipeline({use("sink", {{"tokens", {"1"}}})})
                         .prepare(problem.inputs(), {}, threads)
                         .select(threads, previous)
                         .mask),
            (std::vector<float>{1, .5F, 0, 0, 1, .5F, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0}));
}

TEST(SelectFromPreviousMask, RefusesAMaskOfAnotherProblem) {
  const TestProblem problem({1, 4, 2, 1, 4, 8}, Visibility::all(1, 4));
  const Threads threads(1);
  const PreparedPipeline prepared = Pipeline({}).prepare(problem.inputs(), {}, threads);
  try {
    prepared.select(threads, Mask::empty(Visibility::all(1, 5), {1, 3}));
    FAIL() << "nothing was thrown";
  } catch (const ShapeError& error) {
    EXPECT_STREQ(error.what(),
                 "the previous mask, batch 1, heads 3, 1 x 5, does not fit a problem of shape "
                 "(1, 4, 2, 1, 4, 8)");
  }
}

}  // namespace
}  // namespace maskerade
