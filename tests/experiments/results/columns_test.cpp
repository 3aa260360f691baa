#include "experiments/results/columns.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <cmath>
#include <limits>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "experiments/results/cell_json.hpp"
#include "framework/base/error.hpp"
#include "tests/experiments/results/example_result.hpp"

namespace maskerade {
namespace {

std::vector<ColumnValue> values_of(const CellResult& result) {
  std::vector<ColumnValue> values;
  for (const Column<CellResult>& column : cell_columns()) values.push_back(column.get(result));
  return values;
}

CellResult restored(const CellResult& result) {
  return record_of(cell_columns(), values_of(result));
}

// The values of the example with another one in a column.
std::vector<ColumnValue> example_with(const std::string& name, const ColumnValue& value) {
  std::vector<ColumnValue> values = values_of(example_result());
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (cell_columns()[i].name == name) values[i] = value;
  }
  return values;
}

// "key:text workload:text ..."
template <typename Record>
std::string names_and_types(const std::vector<Column<Record>>& columns) {
  std::string text;
  for (const Column<Record>& column : columns) {
    text += (text.empty() ? "" : " ") + column.name + ":" + std::string(name_of(column.type));
  }
  return text;
}

TEST(CellColumns, AreThoseOfTheDatabaseFormat) {
  std::string names;
  for (const Column<CellResult>& column : exported_columns()) names += column.name + " ";
  // Another list of names needs another kResultsFormat here.
  EXPECT_EQ(kResultsFormat, 6);
  EXPECT_EQ(cell_columns().front().name, "key");
  EXPECT_EQ(
      names,
      "experiment workload cell pipeline status reason device selection_device "
      "kernel kernel_mix cost_model dtype "
      "batch "
      "query_heads kv_heads query_len key_len head_dim causal source file layer seed "
      "source_params queries query_seed decode_steps scale mask_seed "
      "threads chunk_rows params routes match_quantity match_target match_tolerance "
      "match_parameter match_on_miss "
      "match_value match_reached match_least match_greatest match_probes match_search_ms "
      "match_status density density_p5 density_p95 visible_entries "
      "active_entries sampled_entries tiles_full tiles_partial tiles_empty empty_rows "
      "keys_scored select_bytes_read index_bytes index_spans_future kv_bytes_touched "
      "total_bytes required_flops required_bytes attainable_ms percent_of_attainable "
      "attend_flops_per_second "
      "percent_of_peak_flops percent_of_l2_roof attend_bytes_per_second percent_of_bandwidth "
      "load_ms prepare_ms prepare_ms_lo prepare_ms_hi "
      "prepare_ms_min append_ms append_ms_lo append_ms_hi append_ms_min select_ms "
      "select_ms_lo select_ms_hi select_ms_min select_ms_by_masker plan_ms plan_ms_lo "
      "plan_ms_hi plan_ms_min attend_ms attend_ms_lo attend_ms_hi attend_ms_min total_ms "
      "total_ms_lo total_ms_hi total_ms_min dense_ms dense_ms_lo dense_ms_hi dense_ms_min "
      "dense_kernel dense_kernel_reason cache launch_ms sm_mhz_before memory_mhz_before "
      "temperature_celsius_before throttle_reasons_before sm_mhz_after memory_mhz_after "
      "temperature_celsius_after throttle_reasons_after speedup break_even_density repetitions "
      "measure_target measure_budget_ms total_relative_half_width timing load_average other_load "
      "rel_l2_error "
      "rel_l2_error_median_head "
      "rel_l2_error_p95_head rel_l2_error_max_head attention_recall sampled_share lse_error "
      "oracle_error oracle_quotient oracle_allowance oracle_condition dense_oracle_error "
      "dense_oracle_quotient oracle_rows undecidable_rows tolerance tolerance_is_loosened "
      "coverage_seeds coverage_rows coverage_epsilon coverage_delta coverage_rate coverage_rate_lo "
      "coverage_rate_hi coverage_worst_rate coverage_worst_rate_lo coverage_worst_rate_hi "
      "coverage_contradicting_rows coverage_verdict "
      "peak_bytes machine peak_flops_per_second peak_read_bytes_per_second "
      "peak_l2_bytes_per_second peak_flops_source program_version "
      "plugins isolated cell_ms run ");
}

TEST(PartColumns, AreThoseOfTheDatabaseFormat) {
  EXPECT_EQ(names_and_types(head_columns()),
            "key:text layer:integer batch:integer head:integer density:real recall:real "
            "rel_l2_error:real route:text");
  EXPECT_EQ(names_and_types(step_columns()),
            "key:text step:integer key_len:integer append_ms:real select_ms:real plan_ms:real "
            "attend_ms:real dense_ms:real repetitions:integer density:real recall:real "
            "rel_l2_error:real keys_scored:integer select_bytes_read:integer index_bytes:integer "
            "kv_bytes_touched:integer");
  EXPECT_EQ(names_and_types(series_columns()), "key:text stage:text stride:integer times_ms:JSON");
}

// What must hold of every list of columns.
template <typename Record>
void expect_sound(const std::vector<Column<Record>>& columns) {
  // Units that a name ends in, or begins with.
  const std::map<std::string, std::string> suffixes = {{"_ms", "ms"},
                                                       {"_ms_lo", "ms"},
                                                       {"_ms_hi", "ms"},
                                                       {"_ms_min", "ms"},
                                                       {"_bytes", "bytes"},
                                                       {"_bytes_per_second", "bytes/s"},
                                                       {"_flops_per_second", "flop/s"},
                                                       {"_share", "share"},
                                                       {"_entries", "entries"}};
  std::set<std::string> names;
  for (const Column<Record>& column : columns) {
    SCOPED_TRACE(column.name);
    EXPECT_TRUE(names.insert(column.name).second);
    EXPECT_EQ(column.role == ColumnRole::kCellKey, column.name == "key");
    EXPECT_EQ(column.meaning.find_first_of("|\n"), std::string::npos);
    ASSERT_FALSE(column.meaning.empty());
    EXPECT_TRUE(column.meaning.ends_with('.'));
    const bool is_number = column.type == ColumnType::kInteger || column.type == ColumnType::kReal;
    EXPECT_TRUE(is_number || column.unit.empty() || column.type == ColumnType::kJson);
    for (const auto& [suffix, unit] : suffixes) {
      if (column.name.ends_with(suffix)) {
        EXPECT_EQ(column.unit, unit);
      }
    }
    if (column.name.starts_with("percent_of_")) {
      EXPECT_EQ(column.unit, "%");
    }
  }
}

TEST(Columns, HaveNamesOfTheirOwnAndSayWhatTheyAreInWhichUnit) {
  expect_sound(cell_columns());
  expect_sound(head_columns());
  expect_sound(step_columns());
  expect_sound(series_columns());
}

TEST(Columns, NoneIsLeftOutOfTheExamples) {
  const CellResult cell = full_result();
  const CellResult trace = full_trace();
  for (const Column<CellResult>& column : exported_columns()) {
    EXPECT_TRUE(column.get(cell) != ColumnValue() || column.get(trace) != ColumnValue())
        << column.name;
  }
  for (const Column<HeadRow>& column : head_columns()) {
    EXPECT_NE(column.get({"k", 0, cell.heads.front()}), ColumnValue()) << column.name;
  }
  for (const Column<StepRow>& column : step_columns()) {
    EXPECT_NE(column.get({"k", trace.steps.front()}), ColumnValue()) << column.name;
  }
}

TEST(SeriesColumns, RefuseWhatIsNoListOfTimes) {
  StageSeries series;
  const auto set = [&](const std::string& text) {
    SeriesRow row{"k", series};
    series_columns().back().set(row, text);
    return row.series.times_ms;
  };
  EXPECT_EQ(set("[1.5,2]"), (std::vector<double>{1.5, 2}));
  EXPECT_EQ(set("[]"), std::vector<double>{});
  for (const char* text : {"", "[1", "1", "{}", "[\"a\"]"}) EXPECT_THROW(set(text), Error) << text;
}

TEST(CellColumns, GiveAWholeResultBack) {
  const CellResult result = matched_result();
  const CellResult back = restored(result);
  EXPECT_EQ(to_json_line(back), to_json_line(result));
  EXPECT_EQ(back.params, result.params);
  EXPECT_EQ(back.times->prepare->repetitions, 7);
  EXPECT_EQ(back.counts->visible_entries, 10000);
}

TEST(CellColumns, HaveNullsWhereATimeHasNoInterval) {
  CellResult result = example_result();
  result.times->select = Summary{.median = 3, .min = 2, .repetitions = 5};
  const std::string line = to_json_line(result);
  const std::string nulls = R"("select_ms":3.0,"select_ms_lo":null,"select_ms_hi":null,)";
  EXPECT_NE(line.find(nulls), std::string::npos) << line;
  const CellResult back = restored(result);
  EXPECT_FALSE(back.times->select->lo || back.times->select->hi);
  EXPECT_EQ(to_json_line(back), line);
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
  if (is_absent()) result.times->total.lo = result.times->total.hi = std::nullopt;
  if (is_absent()) result.decode_steps = 64;
  if (is_absent()) result.times.reset();
  if (is_absent()) result.mask_seed.reset();
  if (is_absent()) result.peak_bytes.reset();
  RC_ASSERT(to_json_line(restored(result)) == to_json_line(result));
}

TEST(CellColumns, ReadANullInAMeasuredPartAsNaN) {
  const CellResult read = record_of(cell_columns(), example_with("lse_error", {}));
  EXPECT_TRUE(std::isnan(read.fidelity->lse_error));
}

TEST(CellColumns, KnowACellWithoutANumber) {
  const CellResult read = record_of(cell_columns(), example_with("cell", {}));
  EXPECT_EQ(read.cell, CellResult::kNoNumber);
  EXPECT_EQ(values_of(read), example_with("cell", {}));
}

TEST(CellColumns, RefuseAValueOfAnotherType) {
  const auto error_of = [](const std::string& column, const ColumnValue& value) {
    try {
      record_of(cell_columns(), example_with(column, value));
    } catch (const Error& error) {
      return std::string(error.what());
    }
    return std::string("nothing was thrown");
  };
  EXPECT_EQ(error_of("cell", "three"), "column cell: a value is not of the column's type");
  EXPECT_EQ(error_of("threads", std::int64_t{1} << 40),
            "column threads: a value is not of the column's type");
  EXPECT_EQ(error_of("params", "[1, 2]"), "column params: a value is not of the column's type");
  EXPECT_EQ(error_of("params", "{"), "column params: a value is not of the column's type");
  EXPECT_EQ(error_of("status", "splendid"), "column status: \"splendid\" is none of its names");
  EXPECT_EQ(error_of("match_status", "found"),
            "column match_status: \"found\" is none of its names");
}

TEST(ColumnValues, AsTextReadBackAsTheSame) {
  EXPECT_EQ(text_of({}), "");
  EXPECT_EQ(text_of(true), "true");
  EXPECT_EQ(text_of(std::numeric_limits<std::int64_t>::min()), "-9223372036854775808");
  EXPECT_EQ(text_of(std::numeric_limits<std::uint64_t>::max()), "18446744073709551615");
  EXPECT_EQ(text_of(0.1), "0.1");
  EXPECT_EQ(text_of(std::numeric_limits<double>::quiet_NaN()), "NaN");
  EXPECT_EQ(text_of(-std::numeric_limits<double>::infinity()), "-inf");
  EXPECT_EQ(text_of("two\nlines"), "two\nlines");
}

}  // namespace
}  // namespace maskerade
