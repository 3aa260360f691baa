#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <vector>

#include "framework/base/error.hpp"
#include "framework/mask/set_operations.hpp"
#include "test_problem.hpp"

namespace maskerade {
namespace {

constexpr std::int64_t kKeys = 150;

TestProblem whole() { return {AttentionShape{2, 4, 2, 1, kKeys, 8}, Visibility::causal(1, kKeys)}; }

// The problem's query at the last of its first keys.
AttentionInputs first_keys(const TestProblem& problem, std::int64_t key_len) {
  AttentionInputs inputs = problem.inputs();
  inputs.shape.key_len = key_len;
  inputs.k.length = key_len;
  inputs.v.length = key_len;
  inputs.visibility = Visibility::causal(1, key_len);
  return inputs;
}

// The text of the error that body ends with.
template <typename Kind>
std::string error_of(const std::function<void()>& body) {
  try {
    body();
  } catch (const Kind& error) {
    return error.what();
  }
  return "";
}

TEST(GrowingPipeline, SelectsAsOneThatIsPreparedOnTheSameKeys) {
  const TestProblem problem = whole();
  const Threads threads(2);
  const Pipeline pipeline({use("sink", {{"", {"3"}}}), use("local", {{"", {"10%"}}}), use("paged"),
                           use("oracle_topk", {{"", {"7"}}})});
  PreparedPipeline growing = pipeline.prepare(first_keys(problem, 60), {.seed = 3}, threads);
  for (const std::int64_t key_len : {61, 64, 65, 128, 129, 130}) {
    growing.append(first_keys(problem, key_len), threads);
    const Mask expected =
        pipeline.prepare(first_keys(problem, key_len), {.seed = 3}, threads).select(threads).mask;
    EXPECT_EQ(expected.key_len(), key_len);
    EXPECT_EQ(growing.select(threads).mask, expected) << key_len;
    EXPECT_EQ(growing.select(Threads(1)).mask, expected) << key_len;
  }
}

TEST(GrowingPipeline, ReportsItsIndexesAsTheyAre) {
  const TestProblem problem = whole();
  const Threads threads(1);
  PreparedPipeline growing = Pipeline({use("paged")}).prepare(first_keys(problem, 64), {}, threads);
  const auto bytes = [&] { return report_of(growing.select(threads), "paged").index_bytes; };
  EXPECT_EQ(bytes(), 2 * 2 * 8 * 4);  // batch, kv heads, pages of 8 keys, float
  growing.append(first_keys(problem, 65), threads);
  EXPECT_EQ(bytes(), 2 * 2 * 9 * 4);
  growing.truncate(first_keys(problem, 64), threads);
  EXPECT_EQ(bytes(), 2 * 2 * 8 * 4);
  growing.append(first_keys(problem, 64), threads);
  EXPECT_EQ(bytes(), 2 * 2 * 8 * 4);
}

// A route that takes one kv group has the indexes of that group alone.
TEST(GrowingPipeline, GrowsTheIndexesOfEveryRoute) {
  const TestProblem problem = whole();
  const Threads threads(2);
  const Pipeline pipeline(
      {use("paged"), use("local", {{"", {"3"}}})},
      {HeadRoute{.name = "other", .heads = {2, 3}, .maskers = {use("quest", {{"", {"16"}}})}}});
  PreparedPipeline growing = pipeline.prepare(first_keys(problem, 60), {}, threads);
  for (const std::int64_t key_len : {61, 65, 130}) {
    growing.append(first_keys(problem, key_len), threads);
    EXPECT_EQ(growing.select(threads).mask,
              pipeline.prepare(first_keys(problem, key_len), {}, threads).select(threads).mask)
        << key_len;
  }
  growing.truncate(first_keys(problem, 61), threads);
  EXPECT_EQ(growing.select(threads).mask,
            pipeline.prepare(first_keys(problem, 61), {}, threads).select(threads).mask);
}

TEST(GrowingPipeline, StopsWhereItsSamplersWouldMeet) {
  const TestProblem problem = whole();
  const Threads threads(1);
  const auto drawn = [](const char* first, const char* last) {
    return use("random_sampling",
               {{"rate", {"20%"}}, {"init_offset", {first}}, {"local_offset", {last}}});
  };
  const Pipeline pipeline({drawn("0", "40"), drawn("60", "0")});
  PreparedPipeline growing = pipeline.prepare(first_keys(problem, 99), {}, threads);
  growing.append(first_keys(problem, 100), threads);
  const Mask before = growing.select(threads).mask;
  EXPECT_EQ(error_of<Error>([&] { growing.append(first_keys(problem, 101), threads); }),
            "the sampler \"random_sampling\" draws from keys [60, 101) of 101 and the sampler "
            "\"random_sampling\" before it from [0, 61): together they would count the mass of the "
            "keys in both twice; make the ranges disjoint, or keep one");
  EXPECT_EQ(growing.select(threads).mask, before) << "nothing was appended";
}

// The query stands at the last key: an index that may span the future does not.
TEST(GrowingPipeline, SpansNoFutureWhereEveryKeyIsSeen) {
  const TestProblem problem = whole();
  EXPECT_FALSE(report_of(run({use("paged")}, problem), "paged").index_spans_future);
}

TEST(GrowingPipeline, RefusesAnotherSequence) {
  const TestProblem problem = whole();
  const TestProblem other = whole();
  const Threads threads(1);
  PreparedPipeline growing =
      Pipeline({use("sink", {{"", {"3"}}})}).prepare(first_keys(problem, 64), {}, threads);
  const std::string text =
      "inputs of shape (2, 4, 2, 1, 65, 8) do not view the sequence of those before, "
      "(2, 4, 2, 1, 64, 8); k and v must stay where they are, and batch, heads, head_dim, "
      "layer and causality the same";
  EXPECT_EQ(error_of<ShapeError>([&] { growing.append(first_keys(other, 65), threads); }), text);
  AttentionInputs layer = first_keys(problem, 65);
  layer.layer = 1;
  EXPECT_EQ(error_of<ShapeError>([&] { growing.append(layer, threads); }), text);
  EXPECT_EQ(error_of<ShapeError>([&] { growing.append(first_keys(problem, 63), threads); }),
            "inputs of 63 keys cannot be appended to a pipeline of 64 keys");
  EXPECT_EQ(error_of<ShapeError>([&] { growing.truncate(first_keys(problem, 65), threads); }),
            "a pipeline of 64 keys cannot be truncated to 65 keys");
  EXPECT_EQ(growing.select(threads).mask.key_len(), 64);
}

TEST(GrowingPipeline, NamesTheMaskerThatCannotGoOn) {
  const TestProblem problem = whole();
  const Threads threads(2);
  const std::string library =
      MASKERADE_TEST_PLUGINS "/stubborn_index.so: masker \"stubborn_index\"";
  PreparedPipeline growing = Pipeline({use("stubborn_index", {{"", {"66"}}, {"least", {"64"}}})})
                                 .prepare(first_keys(problem, 64), {}, threads);
  growing.append(first_keys(problem, 66), threads);
  EXPECT_EQ(growing.select(threads).mask.probability(0, 0, 0, 65), 1.0F);
  EXPECT_EQ(error_of<PluginError>([&] { growing.append(first_keys(problem, 67), threads); }),
            library + " cannot append to its index: there is no room for another key");
  PreparedPipeline shrinking = Pipeline({use("stubborn_index", {{"", {"66"}}, {"least", {"64"}}})})
                                   .prepare(first_keys(problem, 64), {}, threads);
  EXPECT_EQ(error_of<PluginError>([&] { shrinking.truncate(first_keys(problem, 63), threads); }),
            library + " cannot truncate its index: it cannot forget");
}

}  // namespace
}  // namespace maskerade
