#include "experiments/run/decode_trace.hpp"

#include <gtest/gtest.h>

#include <cmath>

#include "attention/backend_table.hpp"
#include "experiments/run/trace_totals.hpp"
#include "test_experiment.hpp"

namespace maskerade {
namespace {

// A trace of 6 steps after 90 keys, over the border of a tile with the first half of them; the
// sizes of a head follow from `source`.
std::string trace(const std::string& pipelines,
                  const std::string& source = "structured",
                  const std::string& check = "{oracle_rows: all}") {
  return "name: trace\n"
         "workload: {source: {kind: " +
         source +
         ", seed: 3}, batch: 2, query_heads: 4, kv_heads: 2, key_len: 125, head_dim: 16,\n"
         "           decode: {steps: 6}}\n"
         "check: " +
         check +
         "\n"
         "measure: {target: 50%, budget: 20ms}\n"
         "pipelines:\n" +
         pipelines;
}

constexpr const char* kMethods =
    "  p: [{sink: 2}, {local: 10%}]\n"
    "  oracle: [{sink: 2}, {oracle_topk: 7}]\n"
    "  quest: [{local: 3}, {quest: {budget: 24, page_size: 8, min_pages: 1}}]\n"
    "  socket: [{local: 3}, {socket: {budget: 9, tables: 5}}]\n";

TEST(DecodeTrace, IsOneCellWithARowAStep) {
  const FinishedRun ran = run_all(experiment_of(trace(kMethods)));
  ASSERT_EQ(ran.results.size(), 5U);
  EXPECT_EQ(ran.outcome.ok, 5U);
  for (const CellResult& result : ran.results) {
    EXPECT_EQ(result.status, CellStatus::kOk) << result.pipeline << ": " << result.reason;
    EXPECT_EQ(result.decode_steps, 6);
    EXPECT_EQ(result.facts->shape.to_string(), "(2, 4, 2, 1, 125, 16)");
    EXPECT_TRUE(result.facts->causal);
    EXPECT_EQ(result.oracle->rows, 2 * 4 * 6);
    ASSERT_EQ(result.steps.size(), 6U);
    const bool is_dense = result.pipeline == "dense";
    std::int64_t number = 0;
    for (const StepResult& step : result.steps) {
      EXPECT_EQ(step.step, number);
      EXPECT_EQ(step.key_len, 126 + number);
      ++number;
      EXPECT_GE(step.repetitions, 3);
      EXPECT_EQ(step.append_ms.has_value(), !is_dense);
      EXPECT_EQ(step.select_ms.has_value(), !is_dense);
      EXPECT_EQ(step.density == 1, is_dense);
    }
    EXPECT_EQ(result.times->prepare.has_value(), !is_dense);
    EXPECT_EQ(result.times->append.has_value(), !is_dense);
    EXPECT_EQ(result.heads.size(), 8U);
  }
  const CellResult& dense = ran.row("dense");
  EXPECT_EQ(dense.counts->density, 1);
  EXPECT_EQ(dense.counts->visible_entries, 2 * 4 * (126 + 127 + 128 + 129 + 130 + 131));
  EXPECT_EQ(dense.fidelity->rel_l2_error, 0);
  const CellResult& quest = ran.row("quest");
  // Two pages more of 8 keys after 128; per batch entry and kv head, the bounds of 16 dimensions.
  EXPECT_EQ(first_step(quest).index_bytes, 4 * (16 + 1) * 2 * 16 * 4);
  EXPECT_EQ(last_step(quest).index_bytes, 4 * (17 + 1) * 2 * 16 * 4);
  EXPECT_EQ(quest.cost->index_bytes, last_step(quest).index_bytes);
  EXPECT_FALSE(quest.cost->index_spans_future);
}

// A structured sequence has the same keys and queries at the same positions, however long it is.
TEST(DecodeTrace, AStepIsThePlainCellOfItsKeys) {
  const std::string plain =
      "name: plain\n"
      "workload: {source: {kind: structured, seed: 3}, batch: 2, query_heads: 4, kv_heads: 2,\n"
      "           query_len: 1, key_len: {sweep: [126, 127, 128, 129, 130, 131]}, head_dim: 16,\n"
      "           causal: true}\n"
      "measure: {target: 50%, budget: 1ms}\n"
      "pipelines:\n" +
      std::string(kMethods);
  const FinishedRun steps = run_all(experiment_of(trace(kMethods)));
  const FinishedRun cells = run_all(experiment_of(plain));
  for (const CellResult& cell : cells.results) {
    const StepResult& step = step_of(steps.row(cell.pipeline), cell.facts->shape.key_len - 126);
    const std::string which = cell.pipeline + " " + std::to_string(step.key_len);
    EXPECT_EQ(step.key_len, cell.facts->shape.key_len);
    EXPECT_EQ(step.density, cell.counts->density) << which;
    EXPECT_EQ(step.recall, cell.fidelity->attention_recall) << which;
    EXPECT_EQ(step.rel_l2_error, cell.fidelity->rel_l2_error) << which;
    EXPECT_EQ(step.keys_scored, cell.cost->keys_scored) << which;
    EXPECT_EQ(step.select_bytes_read, cell.cost->select_bytes_read) << which;
    EXPECT_EQ(step.index_bytes, cell.cost->index_bytes) << which;
    EXPECT_EQ(step.kv_bytes_touched, cell.cost->kv_bytes_touched) << which;
  }
}

// Gaussian data numbers its queries: the trace's rows are those of a prompt that ends with them.
TEST(DecodeTrace, PutsItsStepsTogetherAsTheRowsOfOneProblem) {
  const std::string methods =
      "  p: [{sink: 2}, {local: 9}]\n"
      "  oracle: [{sink: 2}, {oracle_topk: 7}]\n"
      "  drawn: [{local: 9}, {random_sampling: 10%}]\n";
  std::string whole = trace(methods, "gaussian");
  const std::string decode = "key_len: 125, head_dim: 16,\n           decode: {steps: 6}";
  whole.replace(whole.find(decode), decode.size(),
                "query_len: 6, causal: true, key_len: 131, head_dim: 16");
  const FinishedRun steps = run_all(experiment_of(trace(methods, "gaussian")));
  const FinishedRun rows = run_all(experiment_of(whole));
  for (const char* pipeline : {"dense", "p", "oracle", "drawn"}) {
    const CellResult& together = steps.row(pipeline);
    const CellResult& one = rows.row(pipeline);
    EXPECT_EQ(together.status, CellStatus::kOk) << together.reason;
    EXPECT_EQ(together.counts->active_entries, one.counts->active_entries) << pipeline;
    EXPECT_EQ(together.counts->sampled_entries, one.counts->sampled_entries) << pipeline;
    EXPECT_EQ(together.counts->visible_entries, one.counts->visible_entries) << pipeline;
    EXPECT_EQ(together.counts->density, one.counts->density) << pipeline;
    EXPECT_NEAR(together.counts->density_p5, one.counts->density_p5, 1e-12) << pipeline;
    EXPECT_NEAR(together.counts->density_p95, one.counts->density_p95, 1e-12) << pipeline;
    EXPECT_NEAR(together.fidelity->rel_l2_error, one.fidelity->rel_l2_error, 1e-5) << pipeline;
    EXPECT_NEAR(together.fidelity->rel_l2_error_max_head, one.fidelity->rel_l2_error_max_head,
                1e-5);
    EXPECT_NEAR(together.fidelity->attention_recall, one.fidelity->attention_recall, 1e-6);
    EXPECT_NEAR(together.fidelity->sampled_share, one.fidelity->sampled_share, 1e-6);
    EXPECT_NEAR(together.fidelity->lse_error, one.fidelity->lse_error, 1e-5) << pipeline;
    EXPECT_EQ(head_numbers(together), head_numbers(one)) << pipeline;
    for (const HeadResult& head : together.heads) {
      const HeadResult& same = head_of(one, head.batch, head.head);
      EXPECT_NEAR(head.density, same.density, 1e-12);
      EXPECT_NEAR(head.recall, same.recall, 1e-6);
      EXPECT_NEAR(head.rel_l2_error, same.rel_l2_error, 1e-5);
    }
  }
}

// That a step's total holds a share of prepare and no more: TraceTotals.AreMeansOverTheSteps.
TEST(DecodeTrace, CountsPrepareAsAShareOfEachStep) {
  const CellResult result = run_all(experiment_of(trace(kMethods))).row("quest");
  const StageTimes& times = *result.times;
  EXPECT_GT(times.prepare->median, 0);
  // A repetition's total is the sum of its stages, here of means over the steps: equal but for
  // rounding where one repetition had the least of all.
  const double least = times.prepare->min / 6 + times.append->min + times.select->min +
                       times.plan->min + times.attend.min;
  EXPECT_GE(times.total.min, least * (1 - 1e-12));
  double attend = 0;
  double append = 0;
  std::int64_t repetitions = 0;
  for (const StepResult& step : result.steps) {
    attend += step.attend_ms / 6;
    append += *step.append_ms / 6;
    repetitions += step.repetitions;
  }
  EXPECT_NEAR(times.attend.median, attend, 1e-9 * attend);
  EXPECT_NEAR(times.append->median, append, 1e-9 * append);
  EXPECT_EQ(times.repetitions, repetitions);
  EXPECT_EQ(names_of(times.select_by_masker), (Names{"local", "quest"}));
}

TEST(TraceTotals, AreMeansOverTheSteps) {
  const Experiment experiment = experiment_of(trace("  p: [{sink: 2}]\n"));
  const Workload workload = load_workload(workload_of(experiment, "workload"));
  const CellRules& rules = only_rules_of(experiment);
  const Threads threads(1);
  const auto backend = open_backend("cpu", workload.prompt_inputs());
  const TraceReference reference(*backend, workload, rules.check, threads);
  const RunOptions options{.threads = threads};
  TraceTotals totals(reference.shape);
  // The first step is repeated so seldom that it has no interval of select.
  const auto without_interval = [](double median) {
    return Summary{.median = median, .min = median / 2, .repetitions = 3};
  };
  const auto summary = [](double median) {
    return Summary{
        .median = median, .lo = median - 1, .hi = median + 2, .min = median / 2, .repetitions = 3};
  };
  ASSERT_EQ(reference.steps.size(), 6U);
  std::int64_t number = 0;
  for (const auto& [inputs, dense] : reference.steps) {
    const auto step = static_cast<double>(number);
    backend->show(inputs);
    totals.add({*backend, workload.dtype, dense, rules.check, rules.measure, options},
               {.mask = dense.mask(),
                .plan = *dense.planned.plan,
                .sparse = dense.output,
                .masses = dense.masses,
                .cost = {.keys_scored = 10 + number,
                         .index_bytes = 100 * number,
                         .required_flops = 1 + step,
                         .required_bytes = 2 * step},
                .times = {.append = summary(10 + step),
                          .select = number == 0 ? without_interval(20) : summary(20),
                          .select_by_masker = {{"sink", step}},
                          .plan = summary(30),
                          .attend = summary(40),
                          .total = summary(100 + step),
                          .dense = summary(200),
                          .repetitions = 3}});
    ++number;
  }
  CellResult result;
  totals.write(summary(600), result);
  const StageTimes& times = *result.times;
  EXPECT_DOUBLE_EQ(times.prepare->median, 600);
  EXPECT_DOUBLE_EQ(times.append->median, 12.5);
  EXPECT_DOUBLE_EQ(times.append->min, 6.25);
  EXPECT_DOUBLE_EQ(times.select->median, 20);
  EXPECT_FALSE(times.select->lo || times.select->hi);
  EXPECT_DOUBLE_EQ(times.total.median, 100 + 102.5);
  EXPECT_NEAR(times.total.lo.value(), 599.0 / 6 + 101.5, 1e-9);
  EXPECT_NEAR(times.total.hi.value(), 602.0 / 6 + 104.5, 1e-9);
  EXPECT_NEAR(times.total.min, 50 + 51.25, 1e-9);
  EXPECT_DOUBLE_EQ(times.speedup(), 200 / 202.5);
  EXPECT_DOUBLE_EQ(value_of(times.select_by_masker, "sink"), 2.5);
  EXPECT_EQ(times.repetitions, 18);
  EXPECT_EQ(result.cost->keys_scored, 12);  // 12.5
  EXPECT_EQ(result.cost->index_bytes, 500);
  EXPECT_DOUBLE_EQ(result.cost->required_flops, 3.5);
  EXPECT_DOUBLE_EQ(result.cost->required_bytes, 5);
}

TEST(DecodeTrace, GivesTheSameForAnyNumberOfThreads) {
  const Experiment experiment = experiment_of(trace(kMethods));
  const FinishedRun one = run_all(experiment, {.threads = Threads(1)});
  const FinishedRun two = run_all(experiment, {.threads = Threads(2), .chunk_rows = 1});
  for (const CellResult& result : one.results) {
    const CellResult& other = two.row(result.pipeline);
    EXPECT_EQ(other.fidelity->rel_l2_error, result.fidelity->rel_l2_error) << result.pipeline;
    EXPECT_EQ(other.oracle->error, result.oracle->error) << result.pipeline;
    EXPECT_EQ(other.steps.size(), result.steps.size()) << result.pipeline;
    for (const StepResult& step : result.steps) {
      const StepResult& same = step_of(other, step.step);
      EXPECT_EQ(same.density, step.density);
      EXPECT_EQ(same.rel_l2_error, step.rel_l2_error);
      EXPECT_EQ(same.index_bytes, step.index_bytes);
    }
  }
}

TEST(DecodeTrace, SamplesTheOraclesRowsOverAllSteps) {
  const FinishedRun ran =
      run_all(experiment_of(trace("  p: [{sink: 2}]\n", "structured", "{oracle_rows: 5}")));
  EXPECT_EQ(ran.row("p").oracle->rows, 5);
  EXPECT_EQ(ran.row("dense").oracle->rows, 5);
  const FinishedRun none =
      run_all(experiment_of(trace("  p: [{sink: 2}]\n", "structured", "{oracle_rows: 0}")));
  EXPECT_FALSE(none.row("p").oracle.has_value());
  EXPECT_EQ(none.row("p").status, CellStatus::kOk);
}

TEST(DecodeTrace, FailsWhenRepetitionsSelectDifferently) {
  const CellResult result =
      run_all(experiment_of(trace("  p: [{unreliable: flickers}]\n")), {.threads = Threads(1)})
          .row("p");
  EXPECT_EQ(result.status, CellStatus::kFailed);
  EXPECT_NE(result.reason.find("the selection differs between repetitions"), std::string::npos)
      << result.reason;
}

TEST(DecodeTrace, FailsWhenAMaskerWritesToTheInputs) {
  const CellResult result =
      run_all(experiment_of(trace("  p: [{unreliable: writes}]\n")), {.threads = Threads(1)})
          .row("p");
  EXPECT_EQ(result.status, CellStatus::kFailed);
  EXPECT_NE(result.reason.find("something wrote to q, k or v"), std::string::npos) << result.reason;
}

TEST(DecodeTrace, FailsWithTheReasonOfAnIndexThatDoesNotGrow) {
  const FinishedRun ran = run_all(
      experiment_of(trace("  p: [{stubborn_index: {most: 128, least: 1}}]\n  q: [{sink: 2}]\n")));
  const CellResult& result = ran.row("p");
  EXPECT_EQ(result.status, CellStatus::kFailed);
  EXPECT_NE(result.reason.find("stubborn_index.so: masker \"stubborn_index\" cannot append to its "
                               "index: there is no room for another key"),
            std::string::npos)
      << result.reason;
  EXPECT_EQ(ran.row("q").status, CellStatus::kOk);
}

TEST(DecodeTrace, IsMatchedAtItsLastStep) {
  const FinishedRun ran = run_all(
      experiment_of(trace("  p: {maskers: [{sink: 2}, oracle_topk], match: {density: 20%}}\n"
                          "  socket: {maskers: [{socket: {budget: 5, tables: 5}}],\n"
                          "           match: {density: 20%}}\n")));
  for (const char* pipeline : {"p", "socket"}) {
    const CellResult& result = ran.row(pipeline);
    ASSERT_EQ(result.status, CellStatus::kOk) << result.reason;
    ASSERT_TRUE(result.match && result.match->found);
    EXPECT_EQ(result.match->found->status, MatchStatus::kMatched);
    EXPECT_EQ(result.match->found->reached, last_step(result).density);
    EXPECT_NEAR(last_step(result).density, 0.2, 0.01);
  }
}

TEST(DecodeTrace, IsNotMatchedByTime) {
  const Experiment experiment =
      experiment_of(trace("  p: {maskers: [oracle_topk], match: {total_ms: 1}}\n"));
  try {
    check_pipelines(experiment);
    FAIL() << "accepted";
  } catch (const ConfigError& error) {
    EXPECT_NE(std::string(error.what())
                  .find("which a step of a decode trace (workload) does not "
                        "have by itself; give the pipeline another target or "
                        "only: prefill"),
              std::string::npos)
        << error.what();
  }
}

TEST(DecodeTrace, ChecksStatedGuaranteesAtItsLastStep) {
  const FinishedRun ran = run_all(
      experiment_of(trace("  p: [{adaptive_sampling: {epsilon: 10%, delta: 10%, base: 20}}]\n",
                          "structured", "{coverage_seeds: 4, coverage_rows: 100}")));
  const CellResult& result = ran.row("p");
  ASSERT_TRUE(result.coverage) << result.reason;
  EXPECT_EQ(result.coverage->rows, 2 * 4);
}

}  // namespace
}  // namespace maskerade
