#include "experiments/run/runner.hpp"

#include <gtest/gtest.h>

#include <map>
#include <optional>

#include "framework/base/error.hpp"
#include "framework/tensor/cuda/device.hpp"
#include "test_experiment.hpp"

namespace maskerade {
namespace {

constexpr const char* kTwoWorkloads = R"(
name: two
seeds: {mask: [5, 6]}
workloads:
  prefill: {source: {kind: gaussian, seed: 1}, query_heads: 2, kv_heads: 2, query_len: 8,
            key_len: 8, head_dim: 4, dtype: float16, causal: true}
  decode: {source: {kind: gaussian, seed: 2}, query_heads: 4, kv_heads: 2, query_len: 1,
           key_len: 70, head_dim: 4, dtype: bfloat16}
pipelines:
  streaming: [{sink: 2}, {local: 3}]
  broken: [{sink: 2}, {unreliable: throws}]
  sampled: [{unreliable: samples}]
measure: {target: 50%, budget: 10ms}
)";

// "NUMBER: WORKLOAD on DEVICE" of the dense references among the jobs, in their order.
Names references_among(const std::vector<Job>& jobs, const Experiment& experiment) {
  Names references;
  for (const Job& job : jobs) {
    if (!job.is_dense_reference) continue;
    references.push_back(std::to_string(job.cell.number) + ": " +
                         experiment.workloads.at(job.cell.workload).label + " on " +
                         job.cell.device);
  }
  return references;
}

TEST(Jobs, RunTheDenseReferenceFirstForEachWorkloadAndDevice) {
  Experiment experiment = experiment_of(kTwoWorkloads);
  experiment.devices = {"cpu", "cuda"};
  const std::vector<Job> jobs = make_jobs(experiment);
  // Per workload and device: dense, streaming once, broken and sampled with two seeds.
  ASSERT_EQ(jobs.size(), 2U * 2U * (1 + 1 + 2 + 2));
  EXPECT_EQ(references_among(jobs, experiment), (Names{"0: prefill on cpu", "1: prefill on cuda",
                                                       "12: decode on cpu", "13: decode on cuda"}));
  std::size_t number = 0;
  for (const Job& job : jobs) EXPECT_EQ(job.cell.number, number++);
}

TEST(Jobs, RunTheReferenceOfAWorkloadThatNoPipelineIsFor) {
  Experiment only = experiment_of(kTwoWorkloads);
  for (PipelineSpec& pipeline : only.pipelines) pipeline.only = WorkloadKind::kDecode;
  workload_of(only, "prefill").kind = WorkloadKind::kPrefill;
  workload_of(only, "decode").kind = WorkloadKind::kDecode;
  const std::vector<Job> jobs = make_jobs(only);
  ASSERT_EQ(jobs.size(), 1U + (1 + 1 + 2 + 2));
  EXPECT_EQ(references_among(jobs, only), (Names{"0: prefill on cpu", "1: decode on cpu"}));
}

TEST(Runner, RecordsAFailedCellAndGoesOn) {
  const FinishedRun ran = run_all(experiment_of(kTwoWorkloads));
  EXPECT_EQ(ran.results.size(), 12U);
  EXPECT_EQ(ran.outcome.failed, 4U);
  EXPECT_EQ(ran.outcome.ok, 8U);
  EXPECT_EQ(ran.outcome.unavailable, 0U);
  EXPECT_FALSE(ran.outcome.was_stopped);
  const CellResult& broken = ran.row("broken", {.workload = "prefill", .seed = 5});
  EXPECT_EQ(broken.status, CellStatus::kFailed);
  EXPECT_NE(broken.reason.find("no codebook for this layer"), std::string::npos) << broken.reason;
  EXPECT_NE(broken.reason.find("unreliable"), std::string::npos) << broken.reason;
  EXPECT_EQ(broken.mask_seed, 5U);
  EXPECT_TRUE(broken.facts.has_value());
  EXPECT_FALSE(broken.times.has_value());
  const CellResult& last = ran.row("sampled", {.workload = "decode", .seed = 6});
  EXPECT_EQ(last.cell, 11);
  EXPECT_EQ(last.status, CellStatus::kOk) << last.reason;
}

TEST(Runner, DescribesTheWorkload) {
  const FinishedRun ran = run_all(experiment_of(kTwoWorkloads));
  const CellResult& dense = ran.row("dense", {.workload = "prefill"});
  EXPECT_EQ(dense.experiment, "two");
  EXPECT_EQ(dense.facts->shape.key_len, 8);
  EXPECT_EQ(dense.facts->dtype, DType::kFloat16);
  EXPECT_TRUE(dense.facts->causal);
  EXPECT_EQ(dense.seed, 1U);
  EXPECT_FALSE(dense.mask_seed.has_value());
  EXPECT_EQ(dense.threads, 2);
  EXPECT_EQ(dense.kernel, "dense");
  EXPECT_EQ(dense.kernel_mix, "dense");
  EXPECT_EQ(dense.times->speedup(), 1);
  EXPECT_FALSE(dense.times->select.has_value());
  EXPECT_EQ(dense.fidelity->rel_l2_error, 0);
  EXPECT_FALSE(dense.machine.empty());
}

TEST(Runner, MarksCudaCellsUnavailable) {
  if (cuda_device().is_available) GTEST_SKIP() << "there is a device";
  Experiment experiment = experiment_of(kTwoWorkloads);
  experiment.devices = {"cuda"};
  const FinishedRun ran = run_all(experiment);
  EXPECT_EQ(ran.outcome.unavailable, ran.results.size());
  EXPECT_EQ(ran.outcome.failed, 0U);
  const CellResult& result = ran.row("streaming", {.workload = "prefill", .device = "cuda"});
  EXPECT_EQ(result.status, CellStatus::kUnavailable);
  EXPECT_EQ(result.reason, cuda_device().reason);
  EXPECT_TRUE(result.reason.starts_with("there is no CUDA device") ||
              result.reason.starts_with("this build has no CUDA backend"));
  EXPECT_FALSE(result.times.has_value());
}

// A source of a file that is no longer there.
class UnreadableSource final : public StoredSource {
 public:
  const char* kind() const noexcept override { return "safetensors"; }
  SourceDescription describe() const override { return {.name = "qkv.safetensors"}; }
  std::int64_t query_len() const override { return open().q.description.length; }
  StoredData open() const override {
    throw DataError("/nowhere/qkv.safetensors", "", "there is no such file");
  }
};

TEST(Runner, FailsTheCellsOfAWorkloadThatCannotBeLoadedAndGoesOn) {
  Experiment experiment = experiment_of(kTwoWorkloads);
  workload_of(experiment, "prefill").source = std::make_shared<const UnreadableSource>();
  const FinishedRun ran = run_all(experiment);
  ASSERT_EQ(ran.outcome.bad_inputs.size(), 1U);
  const std::string& bad_input = ran.outcome.bad_inputs.front();
  EXPECT_NE(bad_input.find("/nowhere/qkv.safetensors"), std::string::npos);
  const CellResult& failed = ran.row("streaming", {.workload = "prefill"});
  EXPECT_EQ(failed.status, CellStatus::kFailed);
  EXPECT_EQ(failed.reason, bad_input);
  EXPECT_FALSE(failed.facts.has_value());
  const CellResult& next = ran.row("dense", {.workload = "decode"});
  EXPECT_EQ(next.cell, 6);
  EXPECT_EQ(next.status, CellStatus::kOk) << next.reason;
}

TEST(Runner, StopsBetweenCells) {
  const Experiment experiment = experiment_of(kTwoWorkloads);
  int finished = 0;
  const RunOutcome outcome = run_experiment(
      experiment, {.threads = Threads(1), .is_stopped = [&] { return finished == 2; }},
      {.on_finish = [&](const Job&, CellResult&) { ++finished; }});
  EXPECT_EQ(finished, 2);
  EXPECT_TRUE(outcome.was_stopped);
}

TEST(Runner, GivesUpTheCellInFlightWhenItIsStopped) {
  const Experiment experiment = experiment_of(kTwoWorkloads);
  // The run is stopped while the third cell is repeated.
  int begun = 0;
  std::vector<std::string> abandoned;
  int finished = 0;
  RunListener listener;
  listener.on_begin = [&](const Job&, const CellResult&) { ++begun; };
  listener.on_finish = [&](const Job&, CellResult&) { ++finished; };
  listener.on_abandon = [&](const Job&, const CellResult& result) {
    abandoned.push_back(result.pipeline);
  };
  int asked = 0;
  const RunOutcome outcome = run_experiment(
      experiment, {.threads = Threads(1), .is_stopped = [&] { return begun == 2 && ++asked > 3; }},
      listener);
  EXPECT_TRUE(outcome.was_stopped);
  EXPECT_EQ(finished, 1);
  EXPECT_EQ(abandoned, Names{"streaming"});
}

TEST(Runner, LeavesWhatAnotherProcessIsAt) {
  const Experiment experiment = experiment_of(kTwoWorkloads);
  RunListener listener;
  std::vector<std::int64_t> taken;
  listener.claim = [](const Job& job, const CellResult&) -> JobClaim {
    return {.is_taken = job.cell.number < 10};
  };
  listener.on_taken = [&](const Job&, const CellResult& result) { taken.push_back(result.cell); };
  const RunOutcome outcome = run_experiment(experiment, {.threads = Threads(1)}, listener);
  EXPECT_EQ(outcome.taken, 10U);
  EXPECT_EQ(taken.size(), 10U);
  EXPECT_EQ(outcome.ok + outcome.failed, 2U);
}

TEST(Runner, RunsNoCellThatIsFinished) {
  const Experiment experiment = experiment_of(kTwoWorkloads);
  std::map<std::string, CellResult> store;
  std::vector<std::int64_t> ran;
  std::vector<std::int64_t> kept;
  RunListener listener;
  listener.on_finish = [&](const Job&, CellResult& result) {
    ran.push_back(result.cell);
    if (result.cell % 2 == 0) store.emplace(result.key, result);
  };
  listener.on_keep = [&](const Job& job, const CellResult& result) {
    kept.push_back(result.cell);
    EXPECT_EQ(result.cell, static_cast<std::int64_t>(job.cell.number));
  };
  listener.claim = [&](const Job&, const CellResult& described) -> JobClaim {
    const auto found = store.find(described.key);
    if (found == store.end()) return {.run = 7};
    CellResult result = found->second;
    result.cell = 999;  // of an earlier grid
    return {.finished = result};
  };
  const RunOutcome first = run_experiment(experiment, {.threads = Threads(1)}, listener);
  EXPECT_EQ(first.kept, 0U);
  EXPECT_EQ(store.size(), 6U);
  ran.clear();
  const RunOutcome second = run_experiment(experiment, {.threads = Threads(1)}, listener);
  EXPECT_EQ(second.kept, 6U);
  EXPECT_EQ(second.ok, first.ok);
  EXPECT_EQ(second.failed, first.failed);
  EXPECT_EQ(ran, (std::vector<std::int64_t>{1, 3, 5, 7, 9, 11}));
  EXPECT_EQ(kept, (std::vector<std::int64_t>{0, 2, 4, 6, 8, 10}));
}

TEST(Runner, RecordsHeadsBytesAndLibraries) {
  const FinishedRun ran = run_all(experiment_of(kTwoWorkloads));
  const CellResult& result = ran.row("streaming", {.workload = "prefill"});
  EXPECT_TRUE(result.key.empty());  // nobody asked for keys
  EXPECT_EQ(names_of(result.plugins), (Names{"sink", "local"}));
  EXPECT_EQ(value_of(result.plugins, "sink").size(), 64U);
  // 2 heads of 8 queries: q is float16, out and lse float32, head_dim 4.
  EXPECT_EQ(
      result.cost->total_bytes,
      result.cost->select_bytes_read + result.cost->kv_bytes_touched + 2 * 8 * (4 * 2 + 4 * 4 + 4));
  EXPECT_EQ(head_numbers(result),
            (std::vector<std::pair<std::int64_t, std::int64_t>>{{0, 0}, {0, 1}}));
  const HeadResult& first = head_of(result, 0, 0);
  const HeadResult& second = head_of(result, 0, 1);
  EXPECT_EQ(second.density, result.counts->density);  // one mask for all heads
  EXPECT_NEAR((first.recall + second.recall) / 2, result.fidelity->attention_recall, 1e-12);
  const CellResult& dense = ran.row("dense", {.workload = "prefill"});
  ASSERT_EQ(dense.heads.size(), 2U);
  EXPECT_EQ(head_of(dense, 0, 0).density, 1);
  EXPECT_EQ(head_of(dense, 0, 0).rel_l2_error, 0);
  EXPECT_TRUE(dense.plugins.empty());
  EXPECT_NE(result.peak_bytes, 0);  // absent where the system does not tell
}

TEST(Runner, SeedsAndChunksGiveTheSameResultsOnAnyThreadCount) {
  const Experiment experiment = experiment_of(kTwoWorkloads);
  const FinishedRun one = run_all(experiment, {.threads = Threads(1), .chunk_rows = 1024});
  const FinishedRun two = run_all(experiment, {.threads = Threads(2), .chunk_rows = 1});
  ASSERT_EQ(one.cells(), two.cells());
  for (const CellResult& result : one.results) {
    if (!result.counts) continue;
    SCOPED_TRACE(name_of_row(result));
    const CellResult& other = two.counterpart(result);
    ASSERT_TRUE(other.counts && other.fidelity) << other.reason;
    EXPECT_EQ(result.counts->active_entries, other.counts->active_entries);
    EXPECT_EQ(result.fidelity->rel_l2_error, other.fidelity->rel_l2_error);
    EXPECT_EQ(result.fidelity->attention_recall, other.fidelity->attention_recall);
  }
  const CellResult& seed_5 = one.row("sampled", {.workload = "prefill", .seed = 5});
  const CellResult& seed_6 = one.row("sampled", {.workload = "prefill", .seed = 6});
  EXPECT_NE(seed_5.fidelity->rel_l2_error, seed_6.fidelity->rel_l2_error)
      << "two mask seeds drew the same keys";
}

TEST(CheckPipelines, RefusesTheNameOfTheReference) {
  Experiment experiment = experiment_of(kTwoWorkloads);
  EXPECT_NO_THROW(check_pipelines(experiment));
  PipelineSpec& pipeline = pipeline_of(experiment, "broken");
  pipeline.name = "dense";
  try {
    check_pipelines(experiment);
    FAIL() << "accepted";
  } catch (const ConfigError& error) {
    EXPECT_EQ(error.position().line, pipeline.position.line);
    EXPECT_NE(std::string(error.what()).find("choose another name"), std::string::npos);
  }
}

TEST(ReadExperiment, RefusesAForbiddenOrderAtItsPosition) {
  try {
    experiment_of(std::string(kTwoWorkloads)
                      .replace(std::string(kTwoWorkloads).find("{unreliable: samples}"), 21,
                               "{unreliable: samples}, {oracle_topk: 1}"));
    FAIL() << "accepted";
  } catch (const ConfigError& error) {
    EXPECT_EQ(error.position().line, 12);
    EXPECT_NE(
        std::string(error.what())
            .find("12:3: pipeline \"sampled\": \"oracle_topk\" reads which keys are active and "
                  "cannot follow the sampler \"unreliable\": the estimate would be biased; put "
                  "\"oracle_topk\" before it"),
        std::string::npos);
  }
}

TEST(ReadExperiment, RefusesSamplersThatMeetInAWorkload) {
  const auto read = [](const std::string& key_len) {
    experiment_of(
        "name: samplers\n"
        "workload: {source: {kind: gaussian}, query_heads: 1, query_len: 1, head_dim: 4,\n"
        "           key_len: " +
        key_len +
        "}\n"
        "pipelines:\n"
        "  two: [{random_sampling: {rate: 5%, local_offset: 40}},\n"
        "        {random_sampling: {rate: 5%, init_offset: 60}}]\n");
  };
  EXPECT_NO_THROW(read("100"));
  try {
    read("{sweep: [100, 101]}");
    FAIL() << "accepted";
  } catch (const ConfigError& error) {
    EXPECT_NE(std::string(error.what())
                  .find(":5:3: pipeline \"two\", workload \"workload\": the sampler "
                        "\"random_sampling\" draws from keys [60, 101) of 101 and the sampler "
                        "\"random_sampling\" before it from [0, 61): together they would count the "
                        "mass of the keys in both twice; make the ranges disjoint, or keep one"),
              std::string::npos)
        << error.what();
  }
}

}  // namespace
}  // namespace maskerade
