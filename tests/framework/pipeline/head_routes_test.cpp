#include "framework/pipeline/head_routes.hpp"

#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <vector>

#include "experiments/rules/masker_rules.hpp"
#include "framework/base/error.hpp"
#include "framework/mask/set_operations.hpp"
#include "framework/pipeline/pipeline.hpp"
#include "tests/experiments/rules/expect_rule.hpp"
#include "tests/framework/pipeline/test_problem.hpp"

namespace maskerade {
namespace {

using Heads = std::vector<std::int64_t>;

// Query heads 0 to 2 read kv head 0, heads 3 to 5 kv head 1.
constexpr AttentionShape kShape{2, 6, 2, 70, 150, 8};

TestProblem problem_of(const AttentionShape& shape = kShape) {
  return TestProblem(shape, Visibility::causal(shape.query_len, shape.key_len));
}

Selection run_routes(const Pipeline& pipeline,
                     const TestProblem& problem,
                     const PipelineOptions& options = {},
                     int threads = 1) {
  const Threads workers(threads);
  return pipeline.prepare(problem.inputs(), options, workers).select(workers);
}

HeadRoute route(const char* name, const Heads& heads, const std::vector<MaskerUse>& maskers) {
  return {.name = name, .heads = heads, .maskers = maskers};
}

HeadRoute dense(const Heads& heads) { return {.name = "dense", .heads = heads, .is_dense = true}; }

// Of every kind: position, an index, blocks of a group's heads, top-k of each head and of heads
// that share, a sampler that reads what is active.
std::vector<MaskerUse> mixed() {
  return {
      use("sink", {{"", {"2"}}}),   use("paged"),
      use("quest", {{"", {"16"}}}), use("diagonal_blocks"),
      use("group_union"),           use("oracle_topk", {{"budget", {"4"}}, {"share", {"kv_head"}}}),
      use("sampler", {{"", {"6"}}})};
}

std::vector<MaskerUse> streaming() {
  return {use("sink", {{"", {"1"}}}), use("local", {{"", {"9"}}})};
}

// What each head should have: alone[h] is the mask of the pipeline that it takes.
Mask gathered(const std::vector<const Mask*>& alone) { return gather_heads(alone); }

TEST(HeadRoutes, GiveAHeadTheMaskThatItsMaskersAloneGiveIt) {
  const TestProblem problem = problem_of();
  const PipelineOptions seed{.seed = 3};
  const Mask own = run(mixed(), problem, seed).mask;
  const Mask other = run(streaming(), problem, seed).mask;
  const std::vector<MaskerUse> drawn = {use("sampler", {{"", {"5"}}})};
  const Mask draws = run(drawn, problem, seed).mask;
  const Mask full = Mask::full(problem.inputs().visibility);
  const Pipeline pipeline(
      mixed(), {route("streaming", {1, 5}, streaming()), dense({2}), route("drawn", {3}, drawn)});
  const Mask expected = gathered({&own, &other, &full, &draws, &own, &other});
  EXPECT_EQ(run_routes(pipeline, problem, seed).mask, expected);
  EXPECT_TRUE(rules::holds(rules::check_selection_is_repeatable(
      rules::selector_of(pipeline), {.inputs = problem.inputs(), .options = seed})));
}

// A masker that sees a whole group finds in all its heads what they would have without routes.
TEST(HeadRoutes, RunWholeUnitsForAHeadInTheMiddleOfAGroup) {
  const TestProblem problem = problem_of();
  const Mask own = run(mixed(), problem).mask;
  for (std::int64_t kept = 0; kept < kShape.query_heads; ++kept) {
    Heads others;
    std::vector<const Mask*> alone;
    const Mask empty = Mask::empty(problem.inputs().visibility);
    for (std::int64_t head = 0; head < kShape.query_heads; ++head) {
      if (head != kept) others.push_back(head);
      alone.push_back(head == kept ? &own : &empty);
    }
    const Pipeline pipeline(mixed(), {route("none", others, {})});
    EXPECT_EQ(run_routes(pipeline, problem).mask, gathered(alone)) << "head " << kept;
  }
}

TEST(HeadRoutes, CountOnlyTheUnitsThatRun) {
  const TestProblem problem = problem_of();
  const std::vector<MaskerUse> topk = {use("oracle_topk", {{"", {"3"}}})};  // units of a group
  const std::vector<MaskerUse> quest = {use("quest", {{"", {"16"}}})};      // units of one head
  const auto whole = [&](const std::vector<MaskerUse>& maskers) {
    return run(maskers, problem).maskers.front();
  };
  const Selection selection =
      run_routes(Pipeline(topk, {dense({3, 5}), route("quest", {4}, quest)}), problem);
  ASSERT_EQ(selection.maskers.size(), 2U);
  const MaskerReport of_topk = report_of(selection, "oracle_topk");
  EXPECT_EQ(of_topk.route, "");
  EXPECT_EQ(of_topk.keys_scored, whole(topk).keys_scored / 2);
  EXPECT_EQ(of_topk.bytes_read, whole(topk).bytes_read / 2);
  const MaskerReport of_quest = report_of(selection, "quest");
  EXPECT_EQ(of_quest.route, "quest");
  EXPECT_EQ(of_quest.index_bytes, whole(quest).index_bytes / 2);
  EXPECT_GT(of_quest.keys_scored, 0);
  EXPECT_EQ(of_quest.keys_scored, whole(quest).keys_scored / 6);
  EXPECT_EQ(selection.maskers.front().id, "oracle_topk") << "the pipeline's own come first";
}

TEST(HeadRoutes, OfAllHeadsLeaveNothingOfTheOwnMaskersToRun) {
  const TestProblem problem = problem_of();
  const Heads all = {0, 1, 2, 3, 4, 5};
  const Selection full = run_routes(Pipeline(mixed(), {dense(all)}), problem);
  EXPECT_EQ(full.mask, Mask::full(problem.inputs().visibility));
  EXPECT_TRUE(full.maskers.empty());
  const Selection other =
      run_routes(Pipeline(mixed(), {route("streaming", all, streaming())}), problem);
  EXPECT_EQ(other.mask, run(streaming(), problem).mask);
  EXPECT_EQ(other.maskers.size(), 2U);
}

TEST(HeadRoutes, BeginFromThePreviousMaskInEveryRouteButADenseOne) {
  const TestProblem problem = problem_of();
  const Mask previous = run({use("sink", {{"", {"7"}}})}, problem).mask;
  const Threads one(1);
  const Pipeline pipeline({}, {route("local", {1}, {use("local", {{"", {"2"}}})}), dense({2})});
  const Mask mask = pipeline.prepare(problem.inputs(), {}, one).select(one, previous).mask;
  const Mask with_local =
      run({use("sink", {{"", {"7"}}}), use("local", {{"", {"2"}}})}, problem).mask;
  const Mask full = Mask::full(problem.inputs().visibility);
  EXPECT_EQ(mask, gathered({&previous, &with_local, &full, &previous, &previous, &previous}));
}

TEST(HeadRoutes, KnowTheRouteOfAHeadAndWhetherSeedsMatter) {
  const Pipeline pipeline(streaming(),
                          {dense({1}), route("drawn", {0, 2}, {use("sampler", {{"", {"1"}}})})});
  EXPECT_EQ(pipeline.route_of(0)->name, "drawn");
  EXPECT_EQ(pipeline.route_of(1)->name, "dense");
  EXPECT_EQ(pipeline.route_of(3), nullptr);
  EXPECT_TRUE(pipeline.depends_on_seed());
  EXPECT_FALSE(Pipeline(streaming(), {dense({1})}).depends_on_seed());
}

std::string refusal(const std::function<void()>& body) {
  try {
    body();
  } catch (const Error& error) {
    return error.what();
  }
  return "accepted";
}

TEST(HeadRoutes, RefuseWhatNoHeadCanFollow) {
  EXPECT_EQ(refusal([] {
              Pipeline({}, {dense({1, 4}), route("streaming", {4}, streaming())});
            }),
            "head 4 is in the routes \"dense\" and \"streaming\"; it takes one");
  EXPECT_EQ(refusal([] {
              Pipeline({}, {dense({2, 2})});
            }),
            "the heads of route \"dense\" must ascend from 0 on, and none twice; 2 does not");
  EXPECT_EQ(refusal([] { run_routes(Pipeline({}, {dense({6})}), problem_of()); }),
            "route \"dense\" takes query head 6, but there are 6: 0 to 5");
  const std::vector<MaskerUse> twice = {use("sampler", {{"", {"1"}}}),
                                        use("sampler", {{"", {"1"}}})};
  EXPECT_NE(refusal([&] { Pipeline({}, {route("twice", {0}, twice)}); }), "accepted");
}

}  // namespace
}  // namespace maskerade
