#include "experiments/results/cell_json.hpp"

#include <gtest/gtest.h>

#include <limits>
#include <nlohmann/json.hpp>
#include <string>

#include "framework/base/error.hpp"
#include "tests/experiments/results/example_result.hpp"

namespace maskerade {
namespace {

TEST(CellJson, OfAFullResultHasEveryKeyInItsOrder) {
  EXPECT_EQ(
      to_json_line(matched_result()),
      R"({"experiment":"methods","workload":"prefill","cell":3,"pipeline":"topk budget=5%",)"
      R"("status":"ok","reason":"","device":"cpu","selection_device":null,"kernel":"auto","kernel_mix":"tiles","cost_model":"default",)"
      R"("dtype":"bfloat16","batch":1,"query_heads":8,"kv_heads":2,"query_len":2048,)"
      R"("key_len":2048,"head_dim":64,"causal":true,"source":"gaussian seed 1","file":null,"layer":0,)"
      R"("seed":1,"source_params":{},"queries":null,"query_seed":null,"decode_steps":null,"scale":0.125,"mask_seed":0,"threads":2,"chunk_rows":1024,"params":{"sink":{"tokens":"128"},)"
      R"("oracle_topk":{"budget":"5%","counts":"extra"}},"routes":{"dense":"0-2"},)"
      R"("match_quantity":"density","match_target":0.1,"match_tolerance":0.01,)"
      R"("match_parameter":"oracle_topk.budget","match_on_miss":"keep","match_value":"103","match_reached":0.1003,)"
      R"("match_least":0.02,"match_greatest":1.0,"match_probes":9,"match_search_ms":12.5,)"
      R"("match_status":"matched","density":0.1,"density_p5":0.05,)"
      R"("density_p95":0.25,"visible_entries":10000,"active_entries":1000,"sampled_entries":10,"tiles_full":1,)"
      R"("tiles_partial":2,"tiles_empty":3,"empty_rows":0,"keys_scored":500,)"
      R"("select_bytes_read":64000,"index_bytes":0,"index_spans_future":false,)"
      R"("kv_bytes_touched":128000,"total_bytes":256000,"required_flops":725000000.0,"required_bytes":1000000.0,"attainable_ms":3.625,"percent_of_attainable":25.0,)"
      R"("attend_flops_per_second":17655172.413793102,"percent_of_peak_flops":0.00882758620689655,)"
      R"("percent_of_l2_roof":null,"attend_bytes_per_second":8827586.206896551,)"
      R"("percent_of_bandwidth":0.0353103448275862,)"
      R"("load_ms":0.25,"prepare_ms":0.5,"prepare_ms_lo":0.25,"prepare_ms_hi":0.75,"prepare_ms_min":0.125,)"
      R"("append_ms":null,"append_ms_lo":null,"append_ms_hi":null,"append_ms_min":null,)"
      R"("select_ms":10.0,"select_ms_lo":5.0,"select_ms_hi":15.0,"select_ms_min":2.5,)"
      R"("select_ms_by_masker":{"sink":0.25,"oracle_topk":9.75},)"
      R"("plan_ms":0.0125,"plan_ms_lo":0.00625,"plan_ms_hi":0.018750000000000003,"plan_ms_min":0.003125,)"
      R"("attend_ms":14.5,"attend_ms_lo":7.25,"attend_ms_hi":21.75,"attend_ms_min":3.625,)"
      R"("total_ms":25.0125,"total_ms_lo":12.50625,"total_ms_hi":37.51875,"total_ms_min":6.253125,)"
      R"("dense_ms":100.05,"dense_ms_lo":50.025,"dense_ms_hi":150.075,"dense_ms_min":25.0125,)"
      R"("dense_kernel":"dense","dense_kernel_reason":null,"cache":null,"launch_ms":null,)"
      R"("sm_mhz_before":null,"memory_mhz_before":null,"temperature_celsius_before":null,)"
      R"("throttle_reasons_before":null,"sm_mhz_after":null,"memory_mhz_after":null,)"
      R"("temperature_celsius_after":null,"throttle_reasons_after":null,"speedup":4.0,"break_even_density":0.6900000000000001,"repetitions":7,"measure_target":0.02,"measure_budget_ms":2000.0,)"
      R"("total_relative_half_width":0.49999999999999994,"timing":"noisy","load_average":1.25,"other_load":0.125,)"
      R"("rel_l2_error":0.0321,"rel_l2_error_median_head":0.03,"rel_l2_error_p95_head":0.04,)"
      R"("rel_l2_error_max_head":0.05,"attention_recall":0.875,)"
      R"("sampled_share":0.0625,"lse_error":0.125,"oracle_error":1.25e-06,)"
      R"("oracle_quotient":0.0625,"oracle_allowance":2e-05,"oracle_condition":10.5,)"
      R"("dense_oracle_error":1e-06,"dense_oracle_quotient":0.05,"oracle_rows":256,)"
      R"("undecidable_rows":0,"tolerance":1e-05,)"
      R"("tolerance_is_loosened":false,"coverage_seeds":1000,"coverage_rows":64,)"
      R"("coverage_epsilon":0.1,"coverage_delta":0.05,"coverage_rate":0.0625,)"
      R"("coverage_rate_lo":0.0575,"coverage_rate_hi":0.0675,"coverage_worst_rate":0.125,)"
      R"("coverage_worst_rate_lo":0.0875,"coverage_worst_rate_hi":0.175,)"
      R"("coverage_contradicting_rows":3,"coverage_verdict":"contradicted","peak_bytes":4096,)"
      R"("machine":"some processor, AVX2","peak_flops_per_second":200000000000.0,)"
      R"("peak_read_bytes_per_second":25000000000.0,"peak_l2_bytes_per_second":null,)"
      R"("peak_flops_source":null,"program_version":"0.1.0",)"
      R"("plugins":{"sink":"00ff","oracle_topk":"ff00"},)"
      R"("isolated":false,"cell_ms":2500.0,"run":2})");
}

TEST(CellJson, OfAFailedResultHasNullForWhatWasNotMeasured) {
  CellResult result;
  result.experiment = "e";
  result.status = CellStatus::kFailed;
  result.reason = "a \"quoted\"\nreason";
  const std::string line = to_json_line(result);
  EXPECT_EQ(line.find('\n'), std::string::npos);
  const nlohmann::json json = nlohmann::json::parse(line);
  EXPECT_EQ(json.at("status"), "failed");
  EXPECT_EQ(json.at("reason"), "a \"quoted\"\nreason");
  for (const char* key :
       {"density", "select_ms", "total_ms", "speedup", "attention_recall", "oracle_error", "seed",
        "mask_seed", "file", "kernel_mix", "dtype", "peak_bytes", "total_bytes"}) {
    EXPECT_TRUE(json.at(key).is_null()) << key;
  }
}

TEST(CellJson, WritesNaNAndInfinityAsNull) {
  CellResult result = example_result();
  result.fidelity->lse_error = std::numeric_limits<double>::quiet_NaN();
  result.oracle->error = std::numeric_limits<double>::infinity();
  const nlohmann::json json = nlohmann::json::parse(to_json_line(result));
  EXPECT_TRUE(json.at("lse_error").is_null());
  EXPECT_TRUE(json.at("oracle_error").is_null());
}

TEST(CellJson, KeepsAResultWhoseFileNameIsNotUtf8) {
  CellResult result = example_result();
  result.file = "caf\xe9.safetensors";
  const nlohmann::json json = nlohmann::json::parse(to_json_line(result));
  EXPECT_EQ(json.at("file"), "caf\xef\xbf\xbd.safetensors");
}

TEST(CellJson, SaysWhenAnIndexSpansTheFuture) {
  CellResult result = example_result();
  result.cost->index_spans_future = true;
  EXPECT_EQ(nlohmann::json::parse(to_json_line(result)).at("index_spans_future"), true);
}

TEST(CellJson, GivesAWholeLineBack) {
  for (const CellResult& result : {full_result(), full_trace(), CellResult()}) {
    const std::string line = to_json_line(result);
    EXPECT_EQ(to_json_line(result_of_json_line(line)), line);
  }
}

TEST(CellJson, ReadsALineOfAnotherVersionByTheNamesOfItsFields) {
  const CellResult result =
      result_of_json_line(R"({"workload": "w", "total_ms": 2, "later": [1], "mask_seed": 7})");
  EXPECT_EQ(result.workload, "w");
  EXPECT_EQ(result.times->total.median, 2);
  EXPECT_EQ(result.mask_seed, 7U);
  EXPECT_FALSE(result.facts.has_value());
  EXPECT_EQ(result.cell, CellResult::kNoNumber);
}

TEST(CellJson, RefusesALineThatIsNoResult) {
  for (const char* line : {"", "[1]", "{", R"({"total_ms": "2"})", R"({"status": "well"})"}) {
    EXPECT_THROW(result_of_json_line(line), Error) << line;
  }
}

}  // namespace
}  // namespace maskerade
