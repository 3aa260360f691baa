#include "experiments/run/match_cell.hpp"

#include <gtest/gtest.h>

#include <string>

#include "framework/base/error.hpp"
#include "test_experiment.hpp"

namespace maskerade {
namespace {

// 4 heads on 2 kv heads, 8 queries of 400 keys.
std::string matched(const std::string& match, const std::string& pipelines) {
  return "name: matched\n"
         "workload: {source: {kind: structured, seed: 3}, query_heads: 4, kv_heads: 2,\n"
         "           query_len: 8, key_len: 400, head_dim: 16, causal: true}\n"
         "measure: {target: 50%, budget: 20ms}\n"
         "match: " +
         match + "\npipelines: " + pipelines + "\n";
}
CellResult result_of(const std::string& match, const std::string& pipeline, int threads = 2) {
  return run_all(experiment_of(matched(match, "{p: " + pipeline + "}")),
                 {.threads = Threads(threads)})
      .row("p");
}

TEST(MatchCell, RunsWithTheParameterThatGivesTheDensity) {
  const CellResult result = result_of("{density: 10%}", "[{sink: 4}, oracle_topk]");
  ASSERT_EQ(result.status, CellStatus::kOk) << result.reason;
  const MatchOutcome& found = *result.match->found;
  EXPECT_EQ(found.status, MatchStatus::kMatched);
  EXPECT_EQ(result.match->parameter, "oracle_topk.budget");
  EXPECT_NEAR(result.counts->density, 0.1, 0.001);
  EXPECT_EQ(found.reached, result.counts->density);
  EXPECT_EQ(found.value, parameter_of(result, "oracle_topk", "budget"));
  EXPECT_NEAR(std::stod(found.value), 36, 1);
  EXPECT_EQ(parameter_of(result, "sink", "tokens"), "4");
  EXPECT_GT(found.search_ms, 0);
  EXPECT_LE(found.probes, 12);
}

TEST(MatchCell, IsTheSameForAnyThreadCount) {
  const CellResult one = result_of("{density: 20%, tolerance: 0.1%}", "[oracle_topk]", 1);
  const CellResult two = result_of("{density: 20%, tolerance: 0.1%}", "[oracle_topk]", 2);
  EXPECT_EQ(one.match->found->value, two.match->found->value);
  EXPECT_EQ(one.match->found->probes, two.match->found->probes);
}

TEST(MatchCell, KeepsAShareOfTheVisibleKeysOne) {
  const CellResult result =
      result_of("{density: 10%}", "[{oracle_topk: {share: 5%, of: visible}}]");
  EXPECT_TRUE(result.match->found->value.ends_with("% of visible")) << result.match->found->value;
  EXPECT_NEAR(result.counts->density, 0.1, 0.002);
}

TEST(MatchCell, UnreachableTargetIsMeasuredAtTheNearestEnd) {
  const CellResult low = result_of("{density: 10%}", "[{sink: 200}, oracle_topk]");
  EXPECT_EQ(low.status, CellStatus::kOk) << low.reason;
  EXPECT_EQ(low.match->found->status, MatchStatus::kUnreachable);
  EXPECT_EQ(low.match->found->value, "0");
  EXPECT_NEAR(low.match->found->least, 0.5, 0.02);
  EXPECT_EQ(low.match->found->greatest, 1);
  EXPECT_EQ(low.counts->density, low.match->found->least);
}

TEST(MatchCell, ReachesErrorRecallAndBytes) {
  const CellResult error = result_of("{rel_l2_error: 20%, tolerance: 10%}", "[oracle_topk]");
  EXPECT_EQ(error.match->found->status, MatchStatus::kMatched);
  EXPECT_NEAR(error.fidelity->rel_l2_error, 0.2, 0.02);
  const CellResult recall = result_of("{attention_recall: 80%, tolerance: 2%}", "[oracle_topk]");
  EXPECT_EQ(recall.match->found->status, MatchStatus::kMatched);
  EXPECT_NEAR(recall.fidelity->attention_recall, 0.8, 0.016);
  const CellResult bytes = result_of("{total_bytes: 60000, tolerance: 5%}", "[{local: 1}]");
  EXPECT_EQ(bytes.match->found->status, MatchStatus::kMatched);
  EXPECT_NEAR(static_cast<double>(bytes.cost->total_bytes), 60000, 3000);
}

// 400 keys are no whole number of pages or blocks.
TEST(MatchCell, ReachesFullRecallWithPagesAndBlocks) {
  for (const char* pipeline :
       {"[{quest: {page_size: 64}}]", "[oracle_blocks]", "[{sink: 5}, block_mean_topk]"}) {
    const CellResult result = result_of("{attention_recall: 99.99%, tolerance: 0.02%}", pipeline);
    EXPECT_EQ(result.match->found->status, MatchStatus::kMatched) << pipeline;
    EXPECT_EQ(result.counts->density, 1) << pipeline;
  }
}

// With replacement, 400 draws of 400 keys that differ in weight reach far fewer.
TEST(MatchCell, SearchesMoreDrawsThanThereAreKeys) {
  const CellResult result = result_of("{density: 40%}", "[oracle_sampling]");
  EXPECT_EQ(result.status, CellStatus::kOk) << result.reason;
  EXPECT_EQ(result.match->found->status, MatchStatus::kMatched);
  EXPECT_GT(std::stod(result.match->found->value), 400);
  EXPECT_NEAR(result.counts->density, 0.4, 0.004);
}

TEST(MatchCell, SearchesTimeAndGivesTheNearest) {
  // Eleven days: longer than this cell takes on any machine.
  const CellResult result = result_of("{total_ms: 1000000000}", "[oracle_topk]");
  EXPECT_EQ(result.status, CellStatus::kOk) << result.reason;
  EXPECT_EQ(result.match->found->status, MatchStatus::kUnreachable);
  EXPECT_EQ(result.match->found->reached, result.match->found->greatest);
  EXPECT_GT(result.match->found->least, 0);
}

// adaptive_sampling draws less the larger its epsilon is.
TEST(MatchCell, FindsTheWayDown) {
  const CellResult result =
      result_of("{density: 50%}", "[{adaptive_sampling: {epsilon: 5%, base: 10}}]");
  EXPECT_EQ(result.match->found->status, MatchStatus::kMatched);
  EXPECT_NEAR(result.counts->density, 0.5, 0.005);
  EXPECT_TRUE(result.match->found->value.ends_with('%'));
}

// magic_pig refuses one table where two must agree: the search begins at two.
TEST(MatchCell, LeavesOutValuesThatTheMaskerRefuses) {
  const CellResult result = result_of("{density: 20%, tolerance: 20%}", "[{magic_pig: {bits: 2}}]");
  EXPECT_EQ(result.status, CellStatus::kOk) << result.reason;
  EXPECT_EQ(result.match->found->status, MatchStatus::kMatched);
}

TEST(MatchCell, FailsWithTheReasonOfTheStageThatFails) {
  const CellResult result = result_of("{density: 20%}", "[{unreliable: throws}, {sink: 1}]");
  EXPECT_EQ(result.status, CellStatus::kFailed);
  EXPECT_NE(result.reason.find("no codebook for this layer"), std::string::npos) << result.reason;
  EXPECT_FALSE(result.match->found);
  EXPECT_EQ(result.match->parameter, "sink.tokens");
}

// Half of the heads are dense: the others have what is left of the density.
TEST(MatchCell, CountsWhatOverridesSelect) {
  const CellResult result = result_of(
      "{density: 60%}", "{maskers: [oracle_topk], overrides: [{heads: [0, 1], use: dense}]}");
  EXPECT_EQ(result.status, CellStatus::kOk) << result.reason;
  EXPECT_EQ(result.match->found->status, MatchStatus::kMatched);
  EXPECT_NEAR(result.counts->density, 0.6, 0.006);
  EXPECT_NEAR(head_of(result, 0, 3).density, 0.2, 0.012);
  const CellResult all =
      result_of("{density: 60%}", "{maskers: [oracle_topk], overrides: [{use: dense}]}");
  EXPECT_EQ(all.status, CellStatus::kOk) << all.reason;
  ASSERT_TRUE(all.match);
  EXPECT_FALSE(all.match->found) << "there is nothing to search";
  EXPECT_EQ(all.counts->density, 1);
}

TEST(MatchCell, RecallIsRefusedForSamplers) {
  try {
    experiment_of(matched("{attention_recall: 90%}", "{p: [{sink: 1}, random_sampling]}"));
    FAIL() << "accepted";
  } catch (const ConfigError& error) {
    EXPECT_NE(std::string(error.what())
                  .find("5:8: pipeline \"p\" cannot be matched by attention_recall: "
                        "\"random_sampling\" samples, and recall counts the keys that are selected "
                        "for certain; match density, rel_l2_error, total_bytes or total_ms"),
              std::string::npos)
        << error.what();
  }
}

}  // namespace
}  // namespace maskerade
