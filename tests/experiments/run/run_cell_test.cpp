#include "experiments/run/run_cell.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "experiments/measure/statistics.hpp"
#include "experiments/run/cell_checks.hpp"
#include "experiments/run/repetitions.hpp"
#include "framework/mask/conversions.hpp"
#include "test_experiment.hpp"

namespace maskerade {
namespace {

// 2 heads on 1 kv head, 4 queries of 8 keys; `pipelines` are lines of YAML.
std::string small(const std::string& pipelines, const std::string& check = "{oracle_rows: all}") {
  return "name: small\n"
         "workload: {source: {kind: gaussian, seed: 3}, batch: 2, query_heads: 2, kv_heads: 1,\n"
         "           query_len: 4, key_len: 8, head_dim: 8, dtype: float32, causal: true}\n"
         "check: " +
         check +
         "\n"
         "measure: {target: 50%, budget: 20ms}\n"
         "pipelines:\n" +
         pipelines;
}

TEST(RunCell, MeasuresChecksAndCounts) {
  const FinishedRun ran =
      run_all(experiment_of(small("  all: [{sink: 100%}]\n  last: [{local: 2}]\n")));
  const CellResult& all = ran.row("all");
  EXPECT_EQ(all.status, CellStatus::kOk) << all.reason;
  EXPECT_EQ(all.counts->density, 1);
  EXPECT_NEAR(all.fidelity->rel_l2_error, 0, 1e-6);
  EXPECT_NEAR(all.fidelity->attention_recall, 1, 1e-6);
  EXPECT_EQ(all.oracle->rows, 16);
  EXPECT_LT(all.oracle->error, 1e-5);

  const CellResult& last = ran.row("last");
  EXPECT_EQ(last.status, CellStatus::kOk) << last.reason;
  // 2 batch entries, 2 heads, 4 rows that see 5, 6, 7, 8 keys; local's mask is broadcast.
  EXPECT_EQ(last.counts->active_entries, 2 * 2 * 4 * 2);
  EXPECT_EQ(last.counts->visible_entries, 2 * 2 * (5 + 6 + 7 + 8));
  EXPECT_DOUBLE_EQ(last.counts->density, 8.0 / 26.0);
  EXPECT_EQ(last.counts->tiles_partial, 4);
  EXPECT_EQ(last.counts->empty_rows, 0);
  EXPECT_GT(last.fidelity->rel_l2_error, 0.01);
  EXPECT_GT(last.fidelity->attention_recall, 0.0);
  EXPECT_LT(last.fidelity->attention_recall, 1.0);
  EXPECT_GT(last.cost->kv_bytes_touched, 0);
}

TEST(RunCell, TotalIsWhatTheStagesMakeInEachRepetition) {
  const CellResult result =
      run_all(experiment_of(small("  p: [{sink: 1}, {local: 2}]\n"))).row("p");
  const StageTimes& times = *result.times;
  EXPECT_GE(times.total.min,
            times.prepare->min + times.select->min + times.plan->min + times.attend.min);
  EXPECT_EQ(times.total.lo.has_value(), times.repetitions >= 6);
  EXPECT_LE(times.total.lo.value_or(0), times.total.median);
  EXPECT_GE(times.total.hi.value_or(1e9), times.total.median);
  EXPECT_DOUBLE_EQ(times.speedup(), times.dense.median / times.total.median);
  EXPECT_EQ(times.repetitions, times.attend.repetitions);
  EXPECT_EQ(times.repetitions, times.dense.repetitions);
  EXPECT_EQ(names_of(times.select_by_masker), (Names{"sink", "local"}));
}

// The times of a stage that a result keeps.
const std::vector<double>& samples_of(const CellResult& result, const std::string& stage) {
  for (const StageSeries& series : result.samples) {
    if (series.stage == stage) return series.times_ms;
  }
  throw Error("no samples of " + stage);
}

TEST(RunCell, KeepsTheTimesOfItsRepetitions) {
  const FinishedRun ran = run_all(experiment_of(small("  p: [{sink: 1}]\n")));
  const CellResult& result = ran.row("p");
  std::vector<std::string> stages;
  for (const StageSeries& series : result.samples) {
    stages.push_back(series.stage);
    EXPECT_LE(series.times_ms.size(), kMostSamples);
    EXPECT_EQ(series.stride, result.samples.front().stride);
  }
  EXPECT_EQ(stages, (Names{"attend", "dense", "plan", "prepare", "select", "total"}));
  // Each is rounded to the nanosecond.
  EXPECT_NEAR(samples_of(result, "total").front(),
              samples_of(result, "prepare").front() + samples_of(result, "select").front() +
                  samples_of(result, "plan").front() + samples_of(result, "attend").front(),
              3e-6);
  ASSERT_EQ(ran.row("dense").samples.size(), 1U);
  EXPECT_EQ(ran.row("dense").samples.front().stage, "dense");
}

TEST(SeriesOf, KeepsOneOfAsManyRepetitionsAsItMust) {
  StageSamples samples;
  for (std::size_t i = 0; i < 2 * kMostSamples; ++i) {
    samples.total.push_back(static_cast<double>(i));
  }
  const std::vector<StageSeries> series = series_of(samples);
  ASSERT_EQ(series.size(), 1U);
  EXPECT_EQ(series.front().stride, 3);
  EXPECT_EQ(series.front().times_ms.size(), (2 * kMostSamples + 2) / 3);
  EXPECT_EQ(series.front().times_ms[2], 6);
}

TEST(RunCell, LoadsMaskersOnceAndInNoTotal) {
  const FinishedRun ran = run_all(experiment_of(small("  p: [{sink: 1}]\n")));
  EXPECT_GT(ran.row("p").times->load_ms, 0);
  EXPECT_FALSE(ran.row("dense").times->load_ms);
}

TEST(RunCell, NamesTheSecondUseOfAMaskerApart) {
  const CellResult result =
      run_all(experiment_of(small("  p: [{local: 1}, {sink: 1}, {local: 3}]\n"))).row("p");
  const Names maskers = {"local", "sink", "local#2"};
  EXPECT_EQ(names_of(result.params), maskers);
  EXPECT_EQ(names_of(value_of(result.params, "local#2")), (Names{"window", "side"}));
  EXPECT_EQ(parameter_of(result, "local#2", "window"), "3");
  EXPECT_EQ(names_of(result.times->select_by_masker), maskers);
}

TEST(RunCell, CountsEmptyRowsAndGivesThemNoRecall) {
  const CellResult result = run_all(experiment_of(small("  p: []\n"))).row("p");
  EXPECT_EQ(result.status, CellStatus::kOk) << result.reason;
  EXPECT_EQ(result.counts->empty_rows, 16);
  EXPECT_EQ(result.fidelity->attention_recall, 0);
  EXPECT_EQ(result.fidelity->rel_l2_error, 1);
  EXPECT_TRUE(std::isnan(result.fidelity->lse_error));
}

TEST(RunCell, TellsSampledEntriesApart) {
  const CellResult result =
      run_all(experiment_of(small("  p: [{unreliable: samples}]\n"))).row("p");
  EXPECT_EQ(result.status, CellStatus::kOk) << result.reason;
  EXPECT_GT(result.counts->sampled_entries, 0);
  EXPECT_EQ(result.counts->sampled_entries, result.counts->active_entries);
  EXPECT_EQ(result.fidelity->attention_recall, 0);
  EXPECT_GT(result.fidelity->sampled_share, 0.2);
  EXPECT_LT(result.fidelity->sampled_share, 0.8);
}

// Logits of more than 30: with a fixed tolerance every cell would fail.
TEST(RunCell, PassesOnDataThatAmplifiesRounding) {
  const FinishedRun ran = run_all(experiment_of(
      "name: large\n"
      "workload: {source: {kind: structured, contrast: 10}, query_heads: 4, kv_heads: 2,\n"
      "           query_len: 128, key_len: 1024, head_dim: 128, dtype: bfloat16, causal: true}\n"
      "measure: {target: 50%, budget: 20ms}\n"
      "pipelines: {p: [{sink: 4}, {local: 64}, {oracle_topk: 5%}]}\n"));
  for (const char* pipeline : {"dense", "p"}) {
    const CellResult& result = ran.row(pipeline);
    EXPECT_EQ(result.status, CellStatus::kOk) << result.reason;
    EXPECT_EQ(result.tolerance, 1e-5);
    EXPECT_FALSE(result.tolerance_is_loosened);
    EXPECT_GT(result.oracle->allowance, result.tolerance);
    EXPECT_GT(result.oracle->condition, 30);
    EXPECT_LT(result.oracle->quotient, 0.5);
    EXPECT_LT(result.oracle->dense_quotient, 0.5);
    EXPECT_EQ(result.oracle->undecidable_rows, 0);
  }
}

TEST(RunCell, FailsWhereNoRowCanBeJudged) {
  Experiment experiment = experiment_of(small("  p: [{sink: 3}]\n"));
  experiment.workloads.front().scale = 1e8F;
  const CellResult result = run_all(experiment).row("p");
  EXPECT_EQ(result.status, CellStatus::kFailed);
  EXPECT_TRUE(result.reason.starts_with("no row can be judged: the data amplifies rounding "))
      << result.reason;
  EXPECT_EQ(result.oracle->undecidable_rows, 16);
  // With the numbers.
  EXPECT_TRUE(result.times.has_value());
}

class CheckOracle : public testing::Test {
 protected:
  const AttentionShape shape_{.query_heads = 2, .query_len = 4, .key_len = 8};
  OracleComparison compared_{.rows = 8,
                             .undecidable_rows = 1,
                             .error = 3e-4,
                             .condition = 20,
                             .quotient = 0.9,
                             .worst_row = 6,
                             .worst_error = 2e-4,
                             .worst_allowance = 1e-4};
  CellResult result_ = {};
};

TEST_F(CheckOracle, PassesWhatErrsLessThanItMay) {
  check_oracle(shape_, compared_, "tiles", "", result_);
  EXPECT_EQ(result_.status, CellStatus::kOk);
  EXPECT_EQ(result_.oracle->rows, 8);
  EXPECT_EQ(result_.oracle->error, 3e-4);
  EXPECT_EQ(result_.oracle->allowance, 1e-4);
  check_decidable(result_);
  EXPECT_EQ(result_.status, CellStatus::kOk);
}

TEST_F(CheckOracle, FailsByTheStepAndRowThatErrMore) {
  compared_.quotient = 2;
  result_.tolerance = 1e-5;
  check_oracle(shape_, compared_, "tiles", "step 3, ", result_);
  EXPECT_EQ(result_.status, CellStatus::kFailed);
  EXPECT_EQ(
      result_.reason,
      "the tiles kernel differs from the float64 oracle by 0.0002 at step 3, batch 0, head 1, "
      "query 2, where 0.0001 is allowed (tolerance 1e-05)");
}

TEST_F(CheckOracle, AddsUpTheStepsOfATrace) {
  check_oracle(shape_, compared_, "tiles", "step 0, ", result_);
  const OracleComparison second{.rows = 8,
                                .undecidable_rows = 8,
                                .error = 1e-6,
                                .condition = 1e9,
                                .quotient = 0.1,
                                .worst_allowance = 100};
  check_oracle(shape_, second, "tiles", "step 1, ", result_);
  EXPECT_EQ(result_.oracle->rows, 16);
  EXPECT_EQ(result_.oracle->undecidable_rows, 9);
  EXPECT_EQ(result_.oracle->error, 3e-4);
  EXPECT_EQ(result_.oracle->quotient, 0.9);
  EXPECT_EQ(result_.oracle->allowance, 1e-4);
  EXPECT_EQ(result_.oracle->condition, 1e9);
  check_decidable(result_);
  EXPECT_EQ(result_.status, CellStatus::kOk);
}

TEST(RunCell, SaysWhenTheToleranceIsLoosened) {
  const Experiment experiment =
      experiment_of(small("  p: [{sink: 3}]\n", "{oracle_rows: 4, tolerance: 0.01}"));
  const CellResult result = run_all(experiment).row("p");
  EXPECT_TRUE(result.tolerance_is_loosened);
  EXPECT_EQ(result.tolerance, 0.01);
  EXPECT_EQ(result.oracle->rows, 4);
}

TEST(RunCell, ComparesNothingWithTheOracleWhenAskedNotTo) {
  const CellResult result =
      run_all(experiment_of(small("  p: [{sink: 3}]\n", "{oracle_rows: 0}"))).row("p");
  EXPECT_EQ(result.status, CellStatus::kOk);
  EXPECT_FALSE(result.oracle.has_value());
}

TEST(RunCell, FailsWhenRepetitionsSelectDifferently) {
  const CellResult result =
      run_all(experiment_of(small("  p: [{unreliable: flickers}]\n")), {.threads = Threads(1)})
          .row("p");
  EXPECT_EQ(result.status, CellStatus::kFailed);
  EXPECT_NE(result.reason.find("the selection differs between repetitions"), std::string::npos)
      << result.reason;
}

TEST(RunCell, FailsWhenAMaskerWritesToTheInputs) {
  const CellResult result =
      run_all(experiment_of(small("  p: [{unreliable: writes}]\n")), {.threads = Threads(1)})
          .row("p");
  EXPECT_EQ(result.status, CellStatus::kFailed);
  EXPECT_NE(result.reason.find("something wrote to q, k or v"), std::string::npos) << result.reason;
}

// A budget that the first repetition spends.
TEST(RunCell, HasNoIntervalsOfOneRepetition) {
  std::string experiment = small("  p: [{sink: 1}]\n");
  const std::string budget = "budget: 20ms";
  experiment.replace(experiment.find(budget), budget.size(), "budget: 0.000001ms");
  const FinishedRun ran = run_all(experiment_of(experiment));
  for (const char* pipeline : {"dense", "p"}) {
    const CellResult& result = ran.row(pipeline);
    EXPECT_EQ(result.times->repetitions, 1);
    EXPECT_FALSE(result.times->total.lo || result.times->total.hi) << pipeline;
    EXPECT_FALSE(result.times->dense.lo || result.times->dense.hi) << pipeline;
    EXPECT_GT(result.times->total.median, 0) << pipeline;
  }
}

// One pattern for every head, kept once, once per kv head and once per query head.
TEST(CountWholeProblem, PercentilesAreThoseOfAllRowsHoweverTheMaskIsStored) {
  const Visibility visibility = Visibility::causal(7, 40);
  const AttentionShape shape{
      .batch = 2, .query_heads = 4, .kv_heads = 2, .query_len = 7, .key_len = 40, .head_dim = 4};
  const auto stored = [&](std::int64_t batch, std::int64_t heads) {
    std::vector<std::int64_t> offsets = {0};
    std::vector<std::int32_t> keys;
    for (std::int64_t row = 0; row < batch * heads * 7; ++row) {
      for (std::int32_t key = 0; key <= 3 * (row % 7); ++key) keys.push_back(key);
      offsets.push_back(static_cast<std::int64_t>(keys.size()));
    }
    return from_compressed_rows(visibility, {batch, heads}, offsets, keys, {});
  };
  std::vector<double> densities;
  for (int copy = 0; copy < 8; ++copy) {
    for (int row = 0; row < 7; ++row) densities.push_back((3.0 * row + 1) / (34 + row));
  }
  const double p5 = quantile(densities, 0.05);
  const double p95 = quantile(densities, 0.95);
  for (const MaskExtent extent :
       {MaskExtent{1, 1}, MaskExtent{2, 1}, MaskExtent{1, 2}, MaskExtent{2, 4}}) {
    const MaskCounts counts = count_whole_problem(stored(extent.batch, extent.heads), shape);
    EXPECT_EQ(counts.density_p5, p5) << extent.batch << " x " << extent.heads;
    EXPECT_EQ(counts.density_p95, p95) << extent.batch << " x " << extent.heads;
  }
}

TEST(CountWholeProblem, MultipliesBroadcastCopies) {
  const Visibility visibility = Visibility::all(70, 130);
  const AttentionShape shape{
      .batch = 3, .query_heads = 8, .kv_heads = 2, .query_len = 70, .key_len = 130, .head_dim = 4};
  const MaskCounts whole = count_whole_problem(Mask::full(visibility, {3, 8}), shape);
  EXPECT_EQ(whole.active_entries, 3 * 8 * 70 * 130);
  for (const MaskExtent extent : {MaskExtent{1, 1}, MaskExtent{3, 2}, MaskExtent{1, 8}}) {
    const MaskCounts counts = count_whole_problem(Mask::full(visibility, extent), shape);
    EXPECT_EQ(counts.active_entries, whole.active_entries);
    EXPECT_EQ(counts.visible_entries, whole.visible_entries);
    EXPECT_EQ(counts.tiles_full, whole.tiles_full);
    EXPECT_EQ(counts.density, 1);
  }
  EXPECT_EQ(count_whole_problem(Mask::empty(visibility), shape).empty_rows, 3 * 8 * 70);
}

}  // namespace
}  // namespace maskerade
