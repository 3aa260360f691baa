// How cells are measured on a device: on an emulated one, with a cuDNN that evaluates graphs
// naively and an NVML whose clock falls.

#include <cmath>
#include <cstdlib>
#include <optional>

#include "test_experiment.hpp"

namespace maskerade {
namespace {

const bool kIsSet = setenv("MASKERADE_CUDNN", MASKERADE_TEST_CUDNN, 1) == 0 &&
                    setenv("MASKERADE_NVML", MASKERADE_TEST_NVML, 1) == 0;

constexpr const char* kYaml =
    "name: small\n"
    "workloads:\n"
    "  prefill: {source: {kind: gaussian}, query_heads: 2, kv_heads: 1, query_len: 70, key_len: "
    "70,\n"
    "            head_dim: 64, dtype: bfloat16, causal: true}\n"
    "  refused: {source: {kind: gaussian}, query_heads: 2, query_len: 5, key_len: 20, head_dim: "
    "96,\n"
    "            dtype: float16}\n"
    "pipelines: {streaming: [{sink: 4}, {local: 8}], everything: [{local: 100%}]}\n"
    "devices: [cuda]\n"
    "kernels: [tiles]\n"
    "measure: {budget: 1ms}\n";

RunOptions options_with_roofs() {
  RunOptions options{.threads = Threads(2)};
  options.roofs = DeviceRoofs{.copy_bytes_per_second = 4e12,
                              .l2_read_bytes_per_second = 6e12,
                              .matrix_flops_per_second = 8e14,
                              .matrix_source = "cuBLASLt"};
  return options;
}

TEST(DeviceMeasure, CudnnIsTheDenseReferenceOfWhatItTakes) {
  ASSERT_TRUE(kIsSet);
  const FinishedRun ran = run_all(experiment_of(kYaml));
  EXPECT_EQ(ran.outcome.ok, 6U);
  for (const CellResult& result : ran.results) {
    SCOPED_TRACE(result.workload + " " + result.pipeline);
    EXPECT_EQ(result.status, CellStatus::kOk) << result.reason;
    const bool is_refused = result.workload == "refused";
    EXPECT_EQ(result.dense_kernel, is_refused ? "dense plain" : "dense cuDNN 9.19.0");
    EXPECT_EQ(result.dense_kernel_reason,
              is_refused
                  ? "cudnnBackendGetAttribute: CUDNN_STATUS_NOT_SUPPORTED (3000): no head_dim of 96"
                  : "");
    ASSERT_TRUE(result.oracle);
    EXPECT_LE(result.oracle->dense_quotient, 1);
    EXPECT_LE(result.oracle->quotient, 1);
    // That of the kernel that ran: cuDNN multiplies what is stored, our own kernels may widen it.
    EXPECT_EQ(result.tolerance, result.kernel_mix.ends_with(" plain") ? 1e-5 : 1e-2);
    if (!is_refused) {
      EXPECT_GT(result.oracle->dense_error, 1e-5);  // its output is bfloat16
    }
    if (result.pipeline == "dense") {
      EXPECT_EQ(result.kernel_mix, result.dense_kernel);
    }
    if (result.pipeline == "everything" && !is_refused) {
      EXPECT_LE(result.fidelity->rel_l2_error, result.tolerance);
    }
  }
}

TEST(DeviceMeasure, AToleranceThatCudnnMissesFailsItsOwnCell) {
  Experiment experiment = experiment_of(kYaml);
  only_rules_of(experiment).check.tolerance = 1e-5;
  const FinishedRun ran = run_all(experiment);
  const CellResult& dense = ran.row("dense", {.workload = "prefill"});
  EXPECT_EQ(dense.status, CellStatus::kFailed);
  EXPECT_TRUE(dense.reason.starts_with("the dense cuDNN 9.19.0 kernel differs from the float64"))
      << dense.reason;
}

TEST(DeviceMeasure, SaysTheCacheAndTheClocks) {
  Experiment experiment = experiment_of(kYaml);
  const FinishedRun cold = run_all(experiment);
  const std::optional<DeviceTiming>& timing =
      cold.row("streaming", {.workload = "prefill"}).device_timing;
  ASSERT_TRUE(timing && timing->before && timing->after);
  EXPECT_EQ(timing->cache, "cold");
  EXPECT_FALSE(timing->launch_ms);
  EXPECT_EQ(timing->before->memory_mhz, 3201);
  EXPECT_EQ(timing->before->sm_mhz - timing->after->sm_mhz, 100);
  EXPECT_EQ(timing->after->temperature_celsius - timing->before->temperature_celsius, 1);
  EXPECT_EQ(timing->after->throttle_reasons, "power cap");
  only_rules_of(experiment).measure.is_warm = true;
  const FinishedRun warm = run_all(experiment);
  EXPECT_EQ(warm.outcome.ok, 6U);
  EXPECT_EQ(warm.row("streaming", {.workload = "prefill"}).device_timing->cache, "warm");
}

TEST(DeviceMeasure, AReplayedGraphGivesTheSameResultAndTheCostOfLaunching) {
  Experiment experiment = experiment_of(kYaml);
  only_rules_of(experiment).measure.uses_graph = true;
  const FinishedRun graph = run_all(experiment);
  only_rules_of(experiment).measure.uses_graph = false;
  const FinishedRun each = run_all(experiment);
  EXPECT_EQ(graph.outcome.ok, 6U);
  for (const CellResult& replayed : graph.results) {
    SCOPED_TRACE(name_of_row(replayed));
    const CellResult& launched = each.counterpart(replayed);
    ASSERT_EQ(replayed.status, CellStatus::kOk) << replayed.reason;
    EXPECT_EQ(replayed.fidelity->rel_l2_error, launched.fidelity->rel_l2_error);
    ASSERT_TRUE(replayed.device_timing->launch_ms);
    EXPECT_TRUE(std::isfinite(*replayed.device_timing->launch_ms));
    EXPECT_FALSE(launched.device_timing->launch_ms);
  }
}

TEST(DeviceMeasure, RatesAreSharesOfTheDevicesRoofs) {
  const FinishedRun ran = run_all(experiment_of(kYaml), options_with_roofs());
  const CellResult& result = ran.row("streaming", {.workload = "prefill"});
  ASSERT_TRUE(result.peaks && result.percent_of_attainable());
  EXPECT_EQ(result.peaks->flops_per_second, 8e14);
  EXPECT_EQ(result.peaks->read_bytes_per_second, 4e12);
  EXPECT_EQ(result.peaks->flops_source, "cuBLASLt");
  const double seconds = result.times->attend.median / 1000;
  const double flops = 4.0 * 64 * static_cast<double>(result.counts->active_entries);
  EXPECT_DOUBLE_EQ(*result.attend_flops_per_second(), flops / seconds);
  EXPECT_DOUBLE_EQ(*result.percent_of_peak_flops(), 100 * flops / seconds / 8e14);
  EXPECT_DOUBLE_EQ(*result.percent_of_l2_roof(), 100 * flops / seconds / (64 * 6e12));
  const auto bytes = static_cast<double>(result.cost->kv_bytes_touched);
  EXPECT_DOUBLE_EQ(*result.percent_of_bandwidth(), 100 * bytes / seconds / 4e12);
  // Plain kernels have no matrix units, and without roofs nothing is a share of them.
  EXPECT_FALSE(ran.row("streaming", {.workload = "refused"}).peaks);
  const FinishedRun without_roofs = run_all(experiment_of(kYaml));
  EXPECT_FALSE(without_roofs.row("streaming", {.workload = "prefill"}).peaks);
}

TEST(DeviceMeasure, RoofsAreMeasuredOnTheDevice) {
  const DeviceRoofs roofs = measure_device_roofs();
  EXPECT_GT(roofs.copy_bytes_per_second, 0);
  EXPECT_GT(roofs.l2_read_bytes_per_second, 0);
  EXPECT_GT(roofs.matrix_flops_per_second, 0);
  EXPECT_FALSE(roofs.matrix_source.empty());
}

}  // namespace
}  // namespace maskerade
