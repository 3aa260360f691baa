// The eight published stress suites: top-k on top of a previous mask, straight through the pipeline
// and built apart, then merged. Both ways give the same mask, bit for bit.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <ostream>
#include <string>
#include <vector>

#include "experiments/rules/masker_rules.hpp"
#include "framework/base/error.hpp"
#include "framework/base/philox.hpp"
#include "framework/mask/conversions.hpp"
#include "framework/mask/set_operations.hpp"
#include "tests/experiments/rules/expect_rule.hpp"
#include "tests/framework/pipeline/test_problem.hpp"

namespace maskerade {
namespace {

enum class Previous { kEmpty, kPartial, kRandom };

struct StressCase {
  const char* suite;
  AttentionShape shape;
  double budget;  // below 1: a share of key_len
  Previous previous = Previous::kEmpty;
  bool causal = false;
};

// "previous_empty_shape_1_1_1_4_8_16": cases of one suite differ in previous mask or shape.
std::string name_of_case(const testing::TestParamInfo<StressCase>& info) {
  const AttentionShape& shape = info.param.shape;
  const char* previous = info.param.previous == Previous::kEmpty     ? "empty"
                         : info.param.previous == Previous::kPartial ? "partial"
                                                                     : "random";
  std::string name = std::string("previous_") + previous + "_shape";
  for (const std::int64_t size : {shape.batch, shape.query_heads, shape.kv_heads, shape.query_len,
                                  shape.key_len, shape.head_dim}) {
    name += "_" + std::to_string(size);
  }
  return name;
}

void PrintTo(const StressCase& stress, std::ostream* stream) {
  *stream << stress.suite << " " << stress.shape.to_string() << " budget " << stress.budget;
}

std::int64_t percent(const StressCase& stress) { return std::lround(stress.budget * 100); }

std::int64_t budget_keys(const StressCase& stress) {
  return stress.budget < 1 ? stress.shape.key_len * percent(stress) / 100
                           : std::lround(stress.budget);
}

std::string budget_text(const StressCase& stress) {
  return stress.budget < 1 ? std::to_string(percent(stress)) + "%"
                           : std::to_string(budget_keys(stress));
}

// Partial: every row has its first quarter of keys and one more, further on as the row goes.
// Random: every key with probability 20 %.
Mask previous_mask(const StressCase& stress, const Visibility& visibility) {
  const AttentionShape& shape = stress.shape;
  const MaskExtent extent{shape.batch, shape.query_heads};
  if (stress.previous == Previous::kEmpty) return Mask::empty(visibility, extent);
  const RandomField field({.seed = 7});
  std::vector<float> weights;
  for (std::int64_t row = 0; row < shape.rows(); ++row) {
    for (std::int64_t key = 0; key < shape.key_len; ++key) {
      const std::int64_t index = row * shape.key_len + key;
      const bool partial =
          key < shape.key_len / 4 || key == (shape.key_len / 2 + row) % shape.key_len;
      const bool random = field.bits(0, static_cast<std::uint32_t>(index)) % 5 == 0;
      weights.push_back((stress.previous == Previous::kPartial ? partial : random) ? 1.0F : 0.0F);
    }
  }
  return from_dense(visibility, extent, weights);
}

// The top keys alone: the active ones excluded by hand, the rest sorted by score, then key.
Mask build_top_k(const StressCase& stress, const AttentionInputs& inputs, const Mask& previous) {
  const AttentionShape& shape = stress.shape;
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
        std::min<std::size_t>(candidates.size(), static_cast<std::size_t>(budget_keys(stress)));
    for (std::size_t i = 0; i < taken; ++i) {
      indices.push_back(row * shape.key_len + candidates[i].second);
    }
  }
  return from_flat(inputs.visibility, {shape.batch, shape.query_heads}, indices, {});
}

class StressSuites : public testing::TestWithParam<StressCase> {};

TEST_P(StressSuites, DirectTopKEqualsBuildThenMerge) {
  const StressCase& stress = GetParam();
  const AttentionShape& shape = stress.shape;
  const Visibility visibility = stress.causal ? Visibility::causal(shape.query_len, shape.key_len)
                                              : Visibility::all(shape.query_len, shape.key_len);
  const TestProblem problem(shape, visibility, 11);
  const Mask previous = previous_mask(stress, visibility);
  const Mask built = build_top_k(stress, problem.inputs(), previous);
  const Mask merged = union_of(previous, built);
  const Pipeline pipeline({use("oracle_topk", {{"budget", {budget_text(stress)}}})});
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

INSTANTIATE_TEST_SUITE_P(EmptyPrevious,
                         StressSuites,
                         testing::Values(StressCase{"empty", {1, 1, 1, 4, 8, 16}, 2},
                                         StressCase{"empty", {2, 4, 4, 8, 16, 32}, 4},
                                         StressCase{"empty", {1, 8, 8, 16, 32, 64}, 8},
                                         StressCase{"empty", {4, 2, 2, 10, 20, 16}, 5},
                                         StressCase{"empty", {1, 1, 1, 5, 10, 8}, .3},
                                         StressCase{"empty", {2, 4, 4, 8, 20, 32}, .25}),
                         name_of_case);

INSTANTIATE_TEST_SUITE_P(
    PartialPrevious,
    StressSuites,
    testing::Values(StressCase{"partial", {1, 1, 1, 4, 10, 16}, 3, Previous::kPartial},
                    StressCase{"partial", {2, 4, 4, 8, 20, 32}, 5, Previous::kPartial},
                    StressCase{"partial", {1, 8, 8, 12, 24, 64}, .2, Previous::kPartial},
                    StressCase{"partial", {3, 2, 2, 6, 15, 16}, 4, Previous::kPartial}),
    name_of_case);

INSTANTIATE_TEST_SUITE_P(
    Causal,
    StressSuites,
    testing::Values(StressCase{"causal", {1, 1, 1, 4, 8, 16}, 2, Previous::kEmpty, true},
                    StressCase{"causal", {2, 4, 4, 8, 16, 32}, 4, Previous::kEmpty, true},
                    StressCase{"causal", {1, 2, 2, 10, 15, 16}, .3, Previous::kEmpty, true}),
    name_of_case);

INSTANTIATE_TEST_SUITE_P(GroupedQueries,
                         StressSuites,
                         testing::Values(StressCase{"grouped", {1, 8, 2, 4, 8, 16}, 2},
                                         StressCase{"grouped", {2, 12, 3, 6, 12, 32}, 3},
                                         StressCase{"grouped", {1, 16, 4, 8, 16, 64}, .25},
                                         StressCase{"grouped", {1, 4, 1, 5, 10, 16}, 2}),
                         name_of_case);

INSTANTIATE_TEST_SUITE_P(
    RandomPrevious,
    StressSuites,
    testing::Values(StressCase{"random", {1, 2, 2, 5, 12, 16}, 3, Previous::kRandom},
                    StressCase{"random", {2, 4, 4, 8, 20, 32}, 5, Previous::kRandom},
                    StressCase{"random", {1, 1, 1, 6, 15, 8}, .4, Previous::kRandom}),
    name_of_case);

INSTANTIATE_TEST_SUITE_P(LargeBatch,
                         StressSuites,
                         testing::Values(StressCase{"large batch", {8, 12, 12, 8, 16, 64}, 4},
                                         StressCase{"large batch", {16, 8, 8, 4, 12, 32}, 3},
                                         StressCase{"large batch", {4, 16, 4, 6, 20, 64}, .2}),
                         name_of_case);

INSTANTIATE_TEST_SUITE_P(
    Combined,
    StressSuites,
    testing::Values(StressCase{"combined", {1, 4, 1, 8, 20, 16}, .15, Previous::kRandom},
                    StressCase{"combined", {4, 12, 4, 4, 16, 64}, 4, Previous::kPartial},
                    StressCase{"combined", {2, 6, 6, 10, 25, 32}, .2, Previous::kEmpty, true},
                    StressCase{"combined", {2, 4, 4, 8, 16, 32}, 3, Previous::kPartial}),
    name_of_case);

INSTANTIATE_TEST_SUITE_P(Edge,
                         StressSuites,
                         testing::Values(StressCase{"edge", {1, 1, 1, 1, 4, 8}, 1},
                                         StressCase{"edge", {1, 1, 1, 2, 3, 8}, 1},
                                         StressCase{"edge", {1, 2, 2, 3, 8, 16}, 1},
                                         StressCase{"edge", {1, 1, 1, 4, 10, 8}, .1}),
                         name_of_case);

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
