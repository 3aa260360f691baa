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

TEST(Jobs, RunTheDenseReferenceFirstForEachWorkloadAndDevice) {
  Experiment experiment = experiment_of(kTwoWorkloads);
  experiment.devices = {"cpu", "cuda"};
  const std::vector<Job> jobs = make_jobs(experiment);
  // Per workload and device: dense, streaming once, broken and sampled with two seeds.
  ASSERT_EQ(jobs.size(), 2U * 2U * (1 + 1 + 2 + 2));
  EXPECT_TRUE(jobs[0].is_dense_reference);
  EXPECT_EQ(jobs[0].cell.device, "cpu");
  EXPECT_TRUE(jobs[1].is_dense_reference);
  EXPECT_EQ(jobs[1].cell.device, "cuda");
  EXPECT_FALSE(jobs[2].is_dense_reference);
  EXPECT_TRUE(jobs[12].is_dense_reference);
  EXPECT_EQ(jobs[12].cell.workload, 1U);
  for (std::size_t i = 0; i < jobs.size(); ++i) EXPECT_EQ(jobs[i].cell.number, i);
}

TEST(Jobs, RunTheReferenceOfAWorkloadThatNoPipelineIsFor) {
  Experiment only = experiment_of(kTwoWorkloads);
  for (PipelineSpec& pipeline : only.pipelines) pipeline.only = WorkloadKind::kDecode;
  only.workloads[0].kind = WorkloadKind::kPrefill;
  only.workloads[1].kind = WorkloadKind::kDecode;
  const std::vector<Job> jobs = make_jobs(only);
  ASSERT_EQ(jobs.size(), 1U + (1 + 1 + 2 + 2));
  EXPECT_TRUE(jobs[0].is_dense_reference);
  EXPECT_TRUE(jobs[1].is_dense_reference);
  EXPECT_EQ(jobs[1].cell.workload, 1U);
}

TEST(Runner, RecordsAFailedCellAndGoesOn) {
  const Ran ran = run_all(experiment_of(kTwoWorkloads));
  EXPECT_EQ(ran.results.size(), 12U);
  EXPECT_EQ(ran.outcome.failed, 4U);
  EXPECT_EQ(ran.outcome.ok, 8U);
  EXPECT_EQ(ran.outcome.unavailable, 0U);
  EXPECT_FALSE(ran.outcome.was_stopped);
  const CellResult& broken = ran.find("broken");
  EXPECT_EQ(broken.status, CellStatus::kFailed);
  EXPECT_NE(broken.reason.find("no codebook for this layer"), std::string::npos) << broken.reason;
  EXPECT_NE(broken.reason.find("unreliable"), std::string::npos) << broken.reason;
  EXPECT_EQ(broken.mask_seed, 5U);
  EXPECT_TRUE(broken.facts.has_value());
  EXPECT_FALSE(broken.times.has_value());
  EXPECT_EQ(ran.results.back().status, CellStatus::kOk) << ran.results.back().reason;
}

TEST(Runner, DescribesTheWorkload) {
  const Ran ran = run_all(experiment_of(kTwoWorkloads));
  const CellResult& dense = ran.find("dense");
  EXPECT_EQ(dense.experiment, "two");
  EXPECT_EQ(dense.workload, "prefill");
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
  const Ran ran = run_all(experiment);
  EXPECT_EQ(ran.outcome.unavailable, ran.results.size());
  EXPECT_EQ(ran.outcome.failed, 0U);
  const CellResult& result = ran.find("streaming", "cuda");
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
  experiment.workloads[0].source = std::make_shared<const UnreadableSource>();
  const Ran ran = run_all(experiment);
  ASSERT_EQ(ran.outcome.bad_inputs.size(), 1U);
  EXPECT_NE(ran.outcome.bad_inputs[0].find("/nowhere/qkv.safetensors"), std::string::npos);
  EXPECT_EQ(ran.results[1].status, CellStatus::kFailed);
  EXPECT_EQ(ran.results[1].reason, ran.outcome.bad_inputs[0]);
  EXPECT_FALSE(ran.results[1].facts.has_value());
  EXPECT_EQ(ran.results[6].workload, "decode");
  EXPECT_EQ(ran.results[6].status, CellStatus::kOk) << ran.results[6].reason;
}

TEST(Runner, StopsBetweenCells) {
  const Experiment experiment = experiment_of(kTwoWorkloads);
  int finished = 0;
  const RunOutcome outcome =
      run_experiment(experiment, {.threads = Threads(1)},
                     {.on_begin = {},
                      .on_finish = [&](const Job&, const CellResult&) { ++finished; },
                      .is_stopped = [&] { return finished == 2; }});
  EXPECT_EQ(finished, 2);
  EXPECT_TRUE(outcome.was_stopped);
}

TEST(Runner, RunsNoCellThatIsFinished) {
  const Experiment experiment = experiment_of(kTwoWorkloads);
  std::map<std::string, CellResult> store;
  std::vector<std::int64_t> ran;
  std::vector<std::int64_t> kept;
  RunListener listener;
  listener.on_finish = [&](const Job&, const CellResult& result) {
    ran.push_back(result.cell);
    if (result.cell % 2 == 0) store.emplace(result.key, result);
  };
  listener.on_keep = [&](const Job& job, const CellResult& result) {
    kept.push_back(result.cell);
    EXPECT_EQ(result.cell, static_cast<std::int64_t>(job.cell.number));
  };
  listener.find_finished = [&](const std::string& key) -> std::optional<CellResult> {
    const auto found = store.find(key);
    if (found == store.end()) return std::nullopt;
    CellResult result = found->second;
    result.cell = 999;  // of an earlier grid
    return result;
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
  const Ran ran = run_all(experiment_of(kTwoWorkloads));
  const CellResult& result = ran.find("streaming");
  EXPECT_TRUE(result.key.empty());  // nobody asked for keys
  ASSERT_EQ(result.plugins.size(), 2U);
  EXPECT_EQ(result.plugins[0].first, "sink");
  EXPECT_EQ(result.plugins[0].second.size(), 64U);
  // 2 heads of 8 queries: q is float16, out and lse float32, head_dim 4.
  EXPECT_EQ(
      result.cost->total_bytes,
      result.cost->select_bytes_read + result.cost->kv_bytes_touched + 2 * 8 * (4 * 2 + 4 * 4 + 4));
  ASSERT_EQ(result.heads.size(), 2U);
  EXPECT_EQ(result.heads[1].head, 1);
  EXPECT_EQ(result.heads[1].density, result.counts->density);  // one mask for all heads
  EXPECT_NEAR((result.heads[0].recall + result.heads[1].recall) / 2,
              result.fidelity->attention_recall, 1e-12);
  const CellResult& dense = ran.find("dense");
  ASSERT_EQ(dense.heads.size(), 2U);
  EXPECT_EQ(dense.heads[0].density, 1);
  EXPECT_EQ(dense.heads[0].rel_l2_error, 0);
  EXPECT_TRUE(dense.plugins.empty());
  EXPECT_NE(result.peak_bytes, 0);  // absent where the system does not tell
}

TEST(Runner, SeedsAndChunksGiveTheSameResultsOnAnyThreadCount) {
  const Experiment experiment = experiment_of(kTwoWorkloads);
  const Ran one = run_all(experiment, {.threads = Threads(1), .chunk_rows = 1024});
  const Ran two = run_all(experiment, {.threads = Threads(2), .chunk_rows = 1});
  ASSERT_EQ(one.results.size(), two.results.size());
  for (std::size_t i = 0; i < one.results.size(); ++i) {
    if (!one.results[i].counts) continue;
    EXPECT_EQ(one.results[i].counts->active_entries, two.results[i].counts->active_entries);
    EXPECT_EQ(one.results[i].fidelity->rel_l2_error, two.results[i].fidelity->rel_l2_error);
    EXPECT_EQ(one.results[i].fidelity->attention_recall, two.results[i].fidelity->attention_recall);
  }
  EXPECT_NE(one.results[4].fidelity->rel_l2_error, one.results[5].fidelity->rel_l2_error)
      << "two mask seeds drew the same keys";
}

TEST(CheckPipelines, RefusesTheNameOfTheReference) {
  Experiment experiment = experiment_of(kTwoWorkloads);
  EXPECT_NO_THROW(check_pipelines(experiment));
  experiment.pipelines[1].name = "dense";
  try {
    check_pipelines(experiment);
    FAIL() << "accepted";
  } catch (const ConfigError& error) {
    EXPECT_EQ(error.position().line, experiment.pipelines[1].position.line);
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
