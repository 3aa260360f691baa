#include <gtest/gtest.h>

#include <set>

#include "experiments/benchmarks/attention_work.hpp"
#include "experiments/benchmarks/benchmark_case.hpp"
#include "experiments/benchmarks/block_patterns.hpp"
#include "framework/base/error.hpp"
#include "framework/mask/set_operations.hpp"

namespace maskerade {
namespace {

std::set<std::string> names(Scale scale) {
  std::set<std::string> all;
  for (const BenchmarkCase& one : benchmark_cases(scale)) all.insert(one.name);
  return all;
}

TEST(BenchmarkCases, NamesAreUniqueWithoutBlanksAndTheSameAtEachScale) {
  const std::set<std::string> full = names(Scale::kFull);
  EXPECT_EQ(full.size(), benchmark_cases(Scale::kFull).size());
  EXPECT_EQ(full, names(Scale::kReduced));
  for (const std::string& name : full) {
    EXPECT_EQ(name.find_first_of(" \t\n"), std::string::npos) << name;
  }
}

TEST(BenchmarkCases, TheTableIsTheFirstPartOfTheName) {
  EXPECT_EQ((BenchmarkCase{"oracle_topk/Tiny/direct", {}}.table()), "oracle_topk");
}

TEST(BenchmarkCases, StandInTablesThatSayWhatTheyAre) {
  std::set<std::string> tables;
  for (const BenchmarkTable& table : benchmark_tables()) {
    EXPECT_TRUE(tables.insert(table.name).second) << table.name;
    EXPECT_GT(std::string(table.title).size(), 20U) << table.name;
    const std::vector<BenchmarkCase> cases = table.cases(Scale::kReduced);
    EXPECT_FALSE(cases.empty()) << table.name;
    for (const BenchmarkCase& one : cases) EXPECT_EQ(one.table(), table.name) << one.name;
  }
  EXPECT_EQ(benchmark_table("union").name, std::string("union"));
  EXPECT_THROW(benchmark_table("seventh"), Error);
}

TEST(BenchmarkCases, AMaskThatLacksAKeyFailsItsRowCheck) {
  ProblemStore problems;
  const auto problem = problems.problem({1, 1, 1, 4, 100, 8}, DType::kFloat32, true);
  const RowRule rule = sink_and_window(2, 10);
  const Catalog maskers = load_catalog(MASKERADE_TEST_PLUGINS "/..", "", {});
  const Threads threads(1);
  const Pipeline pipeline(
      {use_masker(maskers, "sink", {{"", "2"}}), use_masker(maskers, "local", {{"", "10"}})});
  const Mask mask = pipeline.prepare(problem->inputs, {}, threads).select(threads).mask;
  EXPECT_NO_THROW(check_rows(mask, problem->inputs, rule));
  EXPECT_THROW(check_rows(mask, problem->inputs, sink_and_window(3, 10)), Error);
  EXPECT_THROW(check_rows(mask, problem->inputs, sink_and_window(2, 9)), Error);
}

TEST(BenchmarkCases, TheRuleForTopKeysTakesTheBestAndBreaksTiesByTheLowerKey) {
  const float q_values[] = {1};
  const float k_values[] = {1, 3, 2, 3, 3, 0};
  const Tensor q = Tensor::from_floats(DType::kFloat32, 1, 1, 1, 1, q_values);
  const Tensor k = Tensor::from_floats(DType::kFloat32, 1, 1, 6, 1, k_values);
  const AttentionInputs inputs{.shape = {1, 1, 1, 1, 6, 1},
                               .q = q.view(),
                               .k = k.view(),
                               .v = k.view(),
                               .visibility = Visibility::all(1, 6)};
  EXPECT_EQ(sink_window_and_top(0, 0, 2)(inputs, 0, 0, 0),
            (std::vector<bool>{false, true, false, true, false, false}));
  EXPECT_EQ(sink_window_and_top(2, 1, 1)(inputs, 0, 0, 0),
            (std::vector<bool>{true, true, false, true, false, true}));
}

TEST(BenchmarkCases, AProblemIsSharedWhileItIsInUse) {
  ProblemStore problems;
  const AttentionShape shape{1, 2, 1, 3, 5, 8};
  auto first = problems.problem(shape, DType::kFloat32, false);
  EXPECT_EQ(first, problems.problem(shape, DType::kFloat32, false));
  EXPECT_NE(first, problems.problem(shape, DType::kBFloat16, false));
  EXPECT_NE(first, problems.problem(shape, DType::kFloat32, true));
}

// The densities are those that the published note on block patterns gives for blocks of 64 tokens
// that are not causal.
TEST(BlockPatterns, HaveTheDensitiesThatAreKnownOfThem) {
  const std::int64_t rates[] = {1, 2, 4};
  EXPECT_NEAR(density(block_local_mask(32, 2)), 0.150, 0.0005);
  EXPECT_NEAR(density(block_local_mask(64, 2)), 0.0767, 0.0005);
  EXPECT_NEAR(density(block_dilated_mask(32, rates)), 0.205, 0.0005);
  EXPECT_NEAR(density(block_dilated_mask(256, rates)), 0.027, 0.0005);
}

TEST(BlockPatterns, RandomRowsHaveTheirOwnBlockAndTheGivenNumber) {
  const Mask mask = random_block_mask(20, 3, 7);
  EXPECT_DOUBLE_EQ(density(mask), 3.0 / 20);
  EXPECT_DOUBLE_EQ(count(mask).density_p5, 3.0 / 20);
  EXPECT_TRUE(is_subset(block_local_mask(20, 0), mask));
  EXPECT_NE(mask, random_block_mask(20, 3, 8));
}

}  // namespace
}  // namespace maskerade
