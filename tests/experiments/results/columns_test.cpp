#include "experiments/results/columns.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <cmath>
#include <limits>
#include <set>

#include "experiments/results/cell_json.hpp"
#include "experiments/results/result_store.hpp"
#include "framework/base/error.hpp"
#include "tests/experiments/results/example_result.hpp"

namespace maskerade {
namespace {

CellResult restored(const CellResult& result) {
  std::vector<ColumnValue> values;
  for (const Column& column : cell_columns()) values.push_back(column.get(result));
  return result_of(values);
}

TEST(CellColumns, AreThoseOfTheDatabaseFormat) {
  std::string names;
  for (const Column& column : cell_columns()) names += column.name + " ";
  // Another list of names needs another ResultStore::kFormat here.
  EXPECT_EQ(ResultStore::kFormat, 4);
  EXPECT_EQ(
      names,
      "experiment workload cell pipeline status reason device selection_device "
      "kernel kernel_mix cost_model dtype "
      "batch "
      "query_heads kv_heads query_len key_len head_dim causal source file layer seed "
      "source_params queries query_seed decode_steps scale mask_seed "
      "threads chunk_rows params routes match_quantity match_target match_tolerance "
      "match_parameter "
      "match_value match_reached match_least match_greatest match_probes match_search_ms "
      "match_status density density_p5 density_p95 visible_entries "
      "active_entries sampled_entries tiles_full tiles_partial tiles_empty empty_rows "
      "keys_scored select_bytes_read index_bytes index_spans_future kv_bytes_touched "
      "total_bytes attainable_ms percent_of_attainable attend_flops_per_second "
      "percent_of_peak_flops percent_of_l2_roof attend_bytes_per_second percent_of_bandwidth "
      "prepare_ms prepare_ms_lo prepare_ms_hi "
      "prepare_ms_min append_ms append_ms_lo append_ms_hi append_ms_min select_ms "
      "select_ms_lo select_ms_hi select_ms_min select_ms_by_masker plan_ms plan_ms_lo "
      "plan_ms_hi plan_ms_min attend_ms attend_ms_lo attend_ms_hi attend_ms_min total_ms "
      "total_ms_lo total_ms_hi total_ms_min dense_ms dense_ms_lo dense_ms_hi dense_ms_min "
      "dense_kernel dense_kernel_reason cache launch_ms sm_mhz_before memory_mhz_before "
      "temperature_celsius_before throttle_reasons_before sm_mhz_after memory_mhz_after "
      "temperature_celsius_after throttle_reasons_after speedup break_even_density repetitions "
      "measure_target measure_budget_ms "
      "rel_l2_error "
      "rel_l2_error_median_head "
      "rel_l2_error_p95_head rel_l2_error_max_head attention_recall sampled_share lse_error "
      "oracle_error dense_oracle_error oracle_rows tolerance tolerance_is_loosened "
      "coverage_seeds coverage_rows coverage_epsilon coverage_delta coverage_rate coverage_rate_lo "
      "coverage_rate_hi coverage_worst_rate coverage_worst_rate_lo coverage_worst_rate_hi "
      "coverage_contradicting_rows coverage_verdict "
      "peak_bytes machine peak_flops_per_second peak_read_bytes_per_second "
      "peak_l2_bytes_per_second peak_flops_source program_version "
      "plugins ");
}

TEST(CellColumns, HaveNamesOfTheirOwn) {
  std::set<std::string> names;
  for (const Column& column : cell_columns()) EXPECT_TRUE(names.insert(column.name).second);
}

TEST(CellColumns, GiveAWholeResultBack) {
  const CellResult result = matched_result();
  const CellResult back = restored(result);
  EXPECT_EQ(to_json_line(back), to_json_line(result));
  EXPECT_EQ(back.params, result.params);
  EXPECT_EQ(back.times->prepare->repetitions, 7);
  EXPECT_EQ(back.counts->visible_entries, 10000);
}

TEST(CellColumns, GiveADecodeTraceBack) {
  CellResult result = example_result();
  result.decode_steps = 64;
  result.times->append = summary_of(0.25);
  const CellResult back = restored(result);
  EXPECT_EQ(to_json_line(back), to_json_line(result));
  EXPECT_EQ(back.decode_steps, 64);
  EXPECT_EQ(back.times->append->median, 0.25);
  EXPECT_EQ(back.times->append->repetitions, 7);
}

// Any parts measured or not, any numbers in them.
RC_GTEST_PROP(CellColumns, GiveAnyResultBack, ()) {
  CellResult result = matched_result();
  const auto number = [] {
    return *rc::gen::elementOf(std::vector<double>{0, -0.0, 1.5, 1e-300, -1e300, 0.1,
                                                   std::numeric_limits<double>::infinity(),
                                                   std::numeric_limits<double>::quiet_NaN()});
  };
  const auto is_absent = [] { return *rc::gen::arbitrary<bool>(); };
  result.status = *rc::gen::element(CellStatus::kOk, CellStatus::kFailed, CellStatus::kUnavailable);
  result.reason = *rc::gen::string<std::string>();
  result.fidelity->lse_error = number();
  result.oracle->error = number();
  result.times->prepare->hi = number();
  result.counts->density = number();
  result.mask_seed = *rc::gen::arbitrary<std::uint64_t>();
  if (is_absent()) result.facts.reset();
  if (is_absent()) result.counts.reset();
  if (is_absent()) result.cost.reset();
  if (is_absent()) result.fidelity.reset();
  result.match->found->reached = number();
  result.match->found->status =
      *rc::gen::element(MatchStatus::kMatched, MatchStatus::kNearest, MatchStatus::kUnreachable);
  result.match->quantity = *rc::gen::element(MatchQuantity::kDensity, MatchQuantity::kRelL2Error,
                                             MatchQuantity::kAttentionRecall,
                                             MatchQuantity::kTotalBytes, MatchQuantity::kTotalMs);
  result.coverage->worst.hi = number();
  if (is_absent()) result.oracle.reset();
  if (is_absent()) result.match->found.reset();
  if (is_absent()) result.match.reset();
  if (is_absent()) result.coverage.reset();
  if (is_absent()) result.times->prepare.reset();
  if (is_absent()) result.times->append = summary_of(number());
  if (is_absent()) result.decode_steps = 64;
  if (is_absent()) result.times.reset();
  if (is_absent()) result.mask_seed.reset();
  if (is_absent()) result.peak_bytes.reset();
  RC_ASSERT(to_json_line(restored(result)) == to_json_line(result));
}

TEST(CellColumns, ReadANullInAMeasuredPartAsNaN) {
  CellResult result = example_result();
  std::vector<ColumnValue> values;
  for (const Column& column : cell_columns()) {
    values.push_back(column.name == "lse_error" ? ColumnValue() : column.get(result));
  }
  EXPECT_TRUE(std::isnan(result_of(values).fidelity->lse_error));
}

TEST(CellColumns, RefuseAValueOfAnotherType) {
  std::vector<ColumnValue> values(cell_columns().size());
  values[2] = std::string("three");  // cell
  EXPECT_THROW(result_of(values), Error);
  values[2] = {};
  values[4] = std::string("splendid");  // status
  EXPECT_THROW(result_of(values), Error);
}

}  // namespace
}  // namespace maskerade
