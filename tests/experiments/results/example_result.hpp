#pragma once

#include "experiments/results/cell_result.hpp"

namespace maskerade {

inline Summary summary_of(double median) {
  return {.median = median,
          .lo = 0.5 * median,
          .hi = 1.5 * median,
          .min = 0.25 * median,
          .repetitions = 7};
}

// A successful cell with everything measured, in round numbers.
inline CellResult example_result() {
  CellResult result;
  result.experiment = "methods";
  result.workload = "prefill";
  result.cell = 3;
  result.pipeline = "topk budget=5%";
  result.device = "cpu";
  result.kernel = "auto";
  result.kernel_mix = "tiles";
  result.cost_model = "default";
  result.facts = WorkloadFacts{.shape = {.batch = 1,
                                         .query_heads = 8,
                                         .kv_heads = 2,
                                         .query_len = 2048,
                                         .key_len = 2048,
                                         .head_dim = 64},
                               .dtype = DType::kBFloat16,
                               .causal = true,
                               .source = "gaussian seed 1",
                               .layer = 0};
  result.seed = 1;
  result.mask_seed = 0;
  result.facts->scale = 0.125;
  result.measure_target = 0.02;
  result.measure_budget_ms = 2000;
  result.threads = 2;
  result.chunk_rows = 1024;
  result.params = {{"sink", {{"tokens", "128"}}},
                   {"oracle_topk", {{"budget", "5%"}, {"counts", "extra"}}}};
  result.routes = {{"dense", "0-2"}};
  result.counts = MaskCounts{.active_entries = 1000,
                             .sampled_entries = 10,
                             .visible_entries = 10000,
                             .tiles_full = 1,
                             .tiles_partial = 2,
                             .tiles_empty = 3,
                             .empty_rows = 0,
                             .density = 0.1,
                             .density_p5 = 0.05,
                             .density_p95 = 0.25};
  result.cost = CostFacts{.keys_scored = 500,
                          .select_bytes_read = 64000,
                          .index_bytes = 0,
                          .index_spans_future = false,
                          .kv_bytes_touched = 128000,
                          .total_bytes = 256000,
                          .required_flops = 7.25e8,
                          .required_bytes = 1e6};
  result.times = StageTimes{.load_ms = 0.25,
                            .prepare = summary_of(0.5),
                            .select = summary_of(10),
                            .select_by_masker = {{"sink", 0.25}, {"oracle_topk", 9.75}},
                            .plan = summary_of(0.0125),
                            .attend = summary_of(14.5),
                            .total = summary_of(25.0125),
                            .dense = summary_of(100.05),
                            .repetitions = 7};
  result.dense_kernel = "dense";
  result.fidelity = Fidelity{.rel_l2_error = 0.0321,
                             .rel_l2_error_median_head = 0.03,
                             .rel_l2_error_p95_head = 0.04,
                             .rel_l2_error_max_head = 0.05,
                             .attention_recall = 0.875,
                             .sampled_share = 0.0625,
                             .lse_error = 0.125,
                             .heads = {}};
  result.oracle = OracleFacts{.rows = 256,
                              .undecidable_rows = 0,
                              .error = 1.25e-6,
                              .quotient = 0.0625,
                              .allowance = 2e-5,
                              .condition = 10.5,
                              .dense_error = 1e-6,
                              .dense_quotient = 0.05};
  result.tolerance = 1e-5;
  result.peak_bytes = 4096;
  result.load = {.average = 1.25, .other = 0.125};
  result.peaks = MachinePeaks{.flops_per_second = 2e11, .read_bytes_per_second = 2.5e10};
  result.cell_ms = 2500;
  result.run = 2;
  result.machine = "some processor, AVX2";
  result.program_version = "0.1.0";
  result.plugins = {{"sink", "00ff"}, {"oracle_topk", "ff00"}};
  return result;
}

// The same of a pipeline that a search found and that states a guarantee.
inline CellResult matched_result() {
  CellResult result = example_result();
  result.match = MatchFacts{.quantity = MatchQuantity::kDensity,
                            .target = 0.1,
                            .tolerance = 0.01,
                            .parameter = "oracle_topk.budget",
                            .found = MatchOutcome{.value = "103",
                                                  .reached = 0.1003,
                                                  .least = 0.02,
                                                  .greatest = 1,
                                                  .probes = 9,
                                                  .search_ms = 12.5,
                                                  .status = MatchStatus::kMatched}};
  result.coverage = Coverage{.stated = {.epsilon = 0.1, .delta = 0.05},
                             .seeds = 1000,
                             .rows = 64,
                             .overall = {.rate = 0.0625, .lo = 0.0575, .hi = 0.0675},
                             .worst = {.rate = 0.125, .lo = 0.0875, .hi = 0.175},
                             .contradicting_rows = 3};
  return result;
}

// A step of a decode trace with everything measured.
inline StepResult measured_step() {
  return {.step = 0,
          .key_len = 101,
          .append_ms = 0.25,
          .select_ms = 0.5,
          .plan_ms = 0.75,
          .attend_ms = 1.25,
          .dense_ms = 1.5,
          .repetitions = 3,
          .density = 0.125,
          .recall = 0.625,
          .rel_l2_error = 0.375,
          .keys_scored = 7,
          .select_bytes_read = 8,
          .index_bytes = 9,
          .kv_bytes_touched = 10};
}

// A cell on a device with a value in every column but those of decode traces.
inline CellResult full_result() {
  CellResult result = matched_result();
  result.reason = "none";
  result.device = "cuda";
  result.selection_device = "cpu, uploaded";
  result.file = "data/captured.safetensors";
  result.source_params = {{"query", "q"}};
  result.queries = 64;
  result.query_seed = 5;
  result.dense_kernel_reason = "no cuDNN";
  result.device_timing = DeviceTiming{.cache = "cold",
                                      .launch_ms = 0.25,
                                      .before = DeviceClocks{1980, 3201, 40, "none"},
                                      .after = DeviceClocks{1890, 3201, 60, "power cap"}};
  result.peaks->flops_source = "cuBLASLt";
  result.peaks->l2_bytes_per_second = 1e12;
  result.heads = {
      {.batch = 0, .head = 0, .density = 0.5, .recall = 0.25, .rel_l2_error = 2, .route = "dense"},
      {.batch = 0, .head = 1, .density = 0.75, .recall = 1, .rel_l2_error = 0}};
  result.samples = {{.stage = "dense", .stride = 3, .times_ms = {100, 99.5, 1e300}},
                    {.stage = "total", .stride = 3, .times_ms = {25, 0.1, 1e-9}}};
  return result;
}

// A decode trace with a value in every column of one.
inline CellResult full_trace() {
  CellResult result = full_result();
  result.decode_steps = 1;
  result.times->append = summary_of(0.25);
  result.steps = {measured_step()};
  return result;
}

}  // namespace maskerade
