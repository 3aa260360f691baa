// Whole cells on an emulated device, see tests/attention/cuda/emulated_runtime.cpp.

#include <cmath>
#include <cstdlib>

#include "framework/tensor/cuda/device.hpp"
#include "test_experiment.hpp"

namespace maskerade {
namespace {

// Cells beside our own dense kernel.
const bool kIsSet = setenv("MASKERADE_CUDNN", "none", 1) == 0;

constexpr const char* kSmall =
    "name: small\n"
    "workloads:\n"
    "  prefill: {source: {kind: gaussian}, query_heads: 2, kv_heads: 1, query_len: 70, key_len: "
    "70,\n"
    "            head_dim: 64, dtype: bfloat16, causal: true}\n"
    "  decode: {source: {kind: gaussian}, query_heads: 4, kv_heads: 2, query_len: 1, key_len: "
    "150,\n"
    "           head_dim: 32}\n"
    "pipelines: {streaming: [{sink: 4}, {local: 8}], everything: [{local: 100%}]}\n"
    "devices: [cuda]\n"
    "kernels: [auto, tiles, rows]\n"
    "measure: {budget: 1ms}\n";

TEST(CudaCell, EveryCellIsRunAndChecked) {
  ASSERT_TRUE(kIsSet);
  const FinishedRun ran = run_all(experiment_of(kSmall));
  EXPECT_EQ(ran.outcome.ok, 14U);
  for (const CellResult& result : ran.results) {
    SCOPED_TRACE(result.workload + " " + result.pipeline + " " + result.kernel);
    EXPECT_EQ(result.status, CellStatus::kOk) << result.reason;
    EXPECT_EQ(result.device, "cuda");
    EXPECT_TRUE(result.machine.ends_with(cuda_device().name));
    const bool is_matrix = result.workload == "prefill";
    EXPECT_EQ(result.tolerance, is_matrix ? 1e-2 : 1e-5);
    EXPECT_FALSE(result.tolerance_is_loosened);
    EXPECT_EQ(result.dense_kernel, is_matrix ? "dense sm90" : "dense plain");
    EXPECT_EQ(result.dense_kernel_reason, "MASKERADE_CUDNN is none");
    ASSERT_TRUE(result.times && result.oracle && result.fidelity && result.cost);
    EXPECT_GT(result.times->attend.median, 0);
    EXPECT_GT(result.cost->kv_bytes_touched, 0);
    EXPECT_LE(result.oracle->quotient, 1);
    if (result.pipeline == "dense") continue;
    EXPECT_EQ(result.selection_device, "cuda");
    EXPECT_TRUE(result.times->select && result.times->plan);
    if (result.pipeline == "everything") {
      EXPECT_EQ(result.counts->density, 1);
      EXPECT_LE(result.fidelity->rel_l2_error, result.tolerance);
    } else {
      EXPECT_LT(result.counts->density, 1);
      EXPECT_GT(result.fidelity->rel_l2_error, 0.05);
    }
  }
  const auto mix = [&](const char* kernel) {
    return ran.row("streaming", {.workload = "prefill", .kernel = kernel}).kernel_mix;
  };
  EXPECT_EQ(mix("auto"), "tiles sm90");
  EXPECT_EQ(mix("rows"), "rows sm80");
}

// bfloat16 products err by hundreds of times what float32 ones may.
TEST(CudaCell, AStatedToleranceHoldsForTheDevice) {
  Experiment experiment = experiment_of(kSmall);
  only_rules_of(experiment).check.tolerance = 1e-5;
  const FinishedRun ran = run_all(experiment);
  EXPECT_EQ(ran.outcome.failed, 7U);
  const CellResult& dense = ran.row("dense", {.workload = "prefill"});
  EXPECT_TRUE(dense.reason.starts_with("the dense sm90 kernel differs from the float64"))
      << dense.reason;
  EXPECT_EQ(ran.row("dense", {.workload = "decode"}).status, CellStatus::kOk);
}

TEST(CudaCell, AHeadDimThatNoKernelTakesIsUnavailable) {
  Experiment experiment = experiment_of(kSmall);
  workload_of(experiment, "prefill").head_dim = 257;
  const FinishedRun ran = run_all(experiment);
  EXPECT_EQ(ran.outcome.unavailable, 7U);
  const CellResult& streaming = ran.row("streaming", {.workload = "prefill", .kernel = "auto"});
  EXPECT_EQ(streaming.reason, "head_dim is 257; the CUDA kernels take at most 256");
}

TEST(CudaCell, TheDevicesNumbersAreTheCpus) {
  Experiment experiment = experiment_of(kSmall);
  experiment.devices = {"cpu", "cuda"};
  experiment.kernels = {"tiles"};
  const FinishedRun ran = run_all(experiment);
  for (const char* pipeline : {"dense", "streaming", "everything"}) {
    const CellResult& cpu = ran.row(pipeline, {.workload = "prefill", .device = "cpu"});
    const CellResult& cuda = ran.row(pipeline, {.workload = "prefill", .device = "cuda"});
    EXPECT_EQ(cpu.counts->active_entries, cuda.counts->active_entries);
    // The sm90 kernel reads once what the two heads of the group share.
    EXPECT_EQ(cpu.cost->kv_bytes_touched, 2 * cuda.cost->kv_bytes_touched);
    EXPECT_NEAR(cpu.fidelity->rel_l2_error, cuda.fidelity->rel_l2_error, 1e-2);
    EXPECT_EQ(cpu.selection_device, "");
  }
}

TEST(CudaCell, SaysWhereItsMaskersRan) {
  Experiment experiment = experiment_of(
      "name: where\n"
      "workload: {source: {kind: gaussian}, query_heads: 4, kv_heads: 2, query_len: 70, key_len: "
      "150,\n"
      "           head_dim: 64, dtype: bfloat16, causal: true}\n"
      "pipelines:\n"
      "  device: [{sink: 4}, {local: 8}, {oracle_topk: 10%}, {random_sampling: 10%}]\n"
      "  indexed: [{quest: 20%}, {block_mean_topk: {budget: 20%, block: 16}}]\n"
      "  uploaded: [{dilated_window: 5}]\n"
      "  mixed: [{sink: 4}, {dilated_window: 5}, {oracle_topk: 10%}]\n"
      "  routed: {maskers: [{sink: 4}], overrides: [{heads: [1], use: dense}]}\n"
      "measure: {budget: 1ms}\n");
  const FinishedRun cpu = run_all(experiment);
  experiment.devices = {"cuda"};
  const FinishedRun cuda = run_all(experiment);
  const std::pair<const char*, const char*> expected[] = {
      {"device", "cuda"},
      {"indexed", "cuda"},
      {"uploaded", "cpu, uploaded"},
      {"mixed", "cuda; cpu, uploaded: dilated_window"},
      {"routed", "cpu, uploaded"}};
  for (const auto& [pipeline, where] : expected) {
    SCOPED_TRACE(pipeline);
    const CellResult& result = cuda.row(pipeline, {.device = "cuda"});
    const CellResult& on_cpu = cpu.row(pipeline, {.device = "cpu"});
    EXPECT_EQ(result.status, CellStatus::kOk) << result.reason;
    EXPECT_EQ(result.selection_device, where);
    EXPECT_EQ(result.counts->active_entries, on_cpu.counts->active_entries);
    EXPECT_EQ(result.counts->sampled_entries, on_cpu.counts->sampled_entries);
    EXPECT_GT(result.times->select->median, 0);
  }
}

TEST(CudaCell, AMaskerThatAddsMoreThanItStatedFailsItsCell) {
  const FinishedRun ran =
      run_all(experiment_of("name: understated\n"
                            "workload: {source: {kind: gaussian}, query_heads: 1, query_len: 70, "
                            "key_len: 300, head_dim: 64, "
                            "dtype: "
                            "bfloat16}\n"
                            "pipelines: {p: [{understated: bits}]}\n"
                            "devices: [cuda]\n"
                            "measure: {budget: 1ms}\n"));
  const CellResult& result = ran.row("p", {.device = "cuda"});
  EXPECT_EQ(result.status, CellStatus::kFailed);
  EXPECT_EQ(result.reason,
            "one of the pipeline's maskers added more than bounds() had stated on the device");
}

TEST(CudaCell, StatedGuaranteesAreCheckedToo) {
  Experiment experiment = experiment_of(
      "name: stated\n"
      "workload: {source: {kind: gaussian}, query_heads: 2, query_len: 4, key_len: 300, head_dim: "
      "64,\n"
      "           dtype: bfloat16}\n"
      "pipelines: {p: [{adaptive_sampling: {epsilon: 20%, delta: 20%}}]}\n"
      "check: {coverage_seeds: 5, coverage_rows: 4}\n"
      "measure: {budget: 1ms}\n");
  const FinishedRun cpu = run_all(experiment);
  experiment.devices = {"cuda"};
  const FinishedRun cuda = run_all(experiment);
  const CellResult& here = cpu.row("p", {.device = "cpu"});
  const CellResult& there = cuda.row("p", {.device = "cuda"});
  ASSERT_TRUE(here.coverage) << here.reason;
  ASSERT_TRUE(there.coverage) << there.reason;
  EXPECT_EQ(there.coverage->overall.rate, here.coverage->overall.rate);
}

// Traces, searches and routes give on the device what they give on the CPU, within its arithmetic.
TEST(CudaCell, TracesMatchesAndRoutesRunOnTheDevice) {
  Experiment experiment = experiment_of(
      "name: everywhere\n"
      "workloads:\n"
      "  plain: {source: {kind: gaussian}, query_heads: 2, query_len: 4, key_len: 64, head_dim: "
      "64}\n"
      "  trace: {source: {kind: structured}, query_heads: 4, kv_heads: 2, key_len: 90, head_dim: "
      "64, "
      "decode: {steps: 3}}\n"
      "pipelines:\n"
      "  topk: [{sink: 4}, {oracle_topk: 10%}]\n"
      "  indexed: [{quest: {budget: 24, page_size: 8, min_pages: 1}}]\n"
      "  on_cpu: [{socket: {budget: 9, tables: 5}}]\n"
      "  matched: {maskers: [oracle_topk], match: {density: 50%}}\n"
      "  routed: {maskers: [{oracle_topk: 20%}], overrides: [{heads: [1], use: dense}]}\n"
      "measure: {budget: 1ms}\n");
  const FinishedRun cpu = run_all(experiment);
  experiment.devices = {"cuda"};
  const FinishedRun cuda = run_all(experiment);
  ASSERT_EQ(cuda.cells(), cpu.cells());
  EXPECT_EQ(cuda.outcome.ok, 12U);
  for (const CellResult& there : cuda.results) {
    SCOPED_TRACE(name_of_row(there));
    const CellResult& here = cpu.counterpart(there);
    EXPECT_EQ(there.status, CellStatus::kOk) << there.reason;
    EXPECT_EQ(there.counts->active_entries, here.counts->active_entries);
    EXPECT_EQ(there.cost->keys_scored, here.cost->keys_scored);
    EXPECT_NEAR(there.fidelity->rel_l2_error, here.fidelity->rel_l2_error, 1e-5);
    EXPECT_EQ(there.steps.size(), here.steps.size());
    for (const StepResult& step : there.steps) {
      const StepResult& same = step_of(here, step.step);
      EXPECT_EQ(step.density, same.density);
      EXPECT_EQ(step.index_bytes, same.index_bytes);
    }
    if (here.match) {
      EXPECT_EQ(there.match->found->value, here.match->found->value);
    }
    EXPECT_TRUE(there.device_timing);
  }
}

TEST(CudaCell, AKernelThatCannotServeAMaskIsUnavailable) {
  Experiment experiment = experiment_of(kSmall);
  experiment.kernels = {"cudnn"};
  experiment.devices = {"cpu", "cuda"};
  const FinishedRun ran = run_all(experiment);
  const auto row = [&](const char* pipeline, const char* device) -> const CellResult& {
    return ran.row(pipeline, {.workload = "prefill", .device = device});
  };
  EXPECT_EQ(row("streaming", "cpu").status, CellStatus::kUnavailable);
  EXPECT_EQ(row("streaming", "cpu").reason,
            "the cpu backend has no kernel \"cudnn\"; it has auto, dense, tiles, rows");
  EXPECT_EQ(row("streaming", "cuda").status, CellStatus::kUnavailable);
  EXPECT_EQ(row("streaming", "cuda").reason,
            "the kernel \"cudnn\" of the cuda backend does not take this: it attends to every "
            "visible key, and the mask leaves some out");
  EXPECT_EQ(row("everything", "cuda").status, CellStatus::kUnavailable);
  EXPECT_EQ(row("everything", "cuda").reason, "MASKERADE_CUDNN is none");
}

}  // namespace
}  // namespace maskerade
