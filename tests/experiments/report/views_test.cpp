#include "experiments/report/views.hpp"

#include <gtest/gtest.h>

#include <limits>
#include <string>
#include <vector>

#include "framework/base/error.hpp"
#include "tests/experiments/results/example_result.hpp"

namespace maskerade {
namespace {

CellResult cell_of(const std::string& pipeline,
                   const std::string& workload,
                   double error,
                   double dense_ms) {
  CellResult result = example_result();
  result.measure_target = 1;
  result.pipeline = pipeline;
  result.workload = workload;
  result.fidelity->rel_l2_error = error;
  result.times->total = summary_of(10);
  result.times->dense = summary_of(dense_ms);
  return result;
}

std::string method_text(const std::vector<CellResult>& results) {
  std::string text;
  for (const TextTable& table : method_tables(results)) text += to_terminal(table, {});
  return text;
}

TEST(Methods, HaveMeansAndDeviationsOverLayersAndSeeds) {
  CellResult failed = cell_of("quest", "layer 2", 9, 90);
  failed.status = CellStatus::kFailed;
  EXPECT_EQ(method_text({cell_of("topk budget=2%", "layer 1", 0.25, 20),
                         cell_of("quest", "layer 1", 0.5, 40),
                         cell_of("topk budget=2%", "layer 2", 0.75, 40), failed}),
            R"(methods: prefill, means over 2 workloads
  pipeline        cells density      ±   rel L2      ±   recall      ±  speedup      ±    moved      ±  status
                          share           error         certain               x              MB
  topk budget=2%      2   0.100      0    0.500  0.354    0.875      0     3.00   1.41    0.256      0  ok
  quest               1   0.100           0.500           0.875            4.00           0.256         1 FAILED
)");
}

TEST(Methods, OfPrefillAndDecodeAreApart) {
  CellResult step = cell_of("topk", "step", 0.5, 20);
  step.facts->shape.query_len = 1;
  CellResult trace = cell_of("topk", "trace", 0.5, 20);
  trace.decode_steps = 8;
  const std::vector<TextTable> tables =
      method_tables(std::vector<CellResult>{cell_of("topk", "prefill", 0.5, 20), step, trace});
  ASSERT_EQ(tables.size(), 2U);
  EXPECT_EQ(tables[0].heading.front(), "methods: prefill, means over 1 workload");
  EXPECT_EQ(tables[1].heading.front(), "methods: decode, means over 2 workloads");
}

TEST(Methods, NameTheKernelWhereOneHasSeveral) {
  CellResult rows = cell_of("topk", "layer 1", 0.5, 20);
  rows.kernel = "rows";
  const std::string text = method_text({cell_of("topk", "layer 1", 0.5, 20), rows});
  EXPECT_NE(text.find("  topk, auto"), std::string::npos) << text;
  EXPECT_NE(text.find("  topk, rows"), std::string::npos) << text;
}

TEST(ColumnTable, HasTheColumnsThatAreAskedFor) {
  const std::vector<CellResult> results = {example_result()};
  const std::vector<std::string> names = {"pipeline", "speedup", "match_value", "empty_rows"};
  EXPECT_EQ(to_csv(std::vector<TextTable>{column_table(results, names, false)}),
            "pipeline,speedup,match_value,empty_rows\r\ntopk budget=5%,4.00,,0\r\n");
  EXPECT_EQ(to_csv(std::vector<TextTable>{column_table(results, {"plan_ms"}, true)}),
            "plan_ms\r\n0.0125\r\n");
  EXPECT_THROW(column_table(results, {"colour"}, true), ConfigError);
}

TEST(SortedCells, LieBySizeWithWhatIsMissingLast) {
  const auto order_by = [](const std::string& order) {
    CellResult none = cell_of("none", "w", 0.5, 10);
    none.fidelity.reset();
    std::vector<CellResult> results = {
        none, cell_of("b", "w", 2, 10),
        cell_of("nan", "w", std::numeric_limits<double>::quiet_NaN(), 10),
        cell_of("a", "w", 10, 10), cell_of("c", "w", 2, 10)};
    sort_by(order, results);
    std::string pipelines;
    for (const CellResult& result : results) pipelines += result.pipeline + " ";
    return pipelines;
  };
  EXPECT_EQ(order_by("rel_l2_error"), "b c a none nan ");
  EXPECT_EQ(order_by("rel_l2_error:asc"), "b c a none nan ");
  EXPECT_EQ(order_by("rel_l2_error:desc"), "a b c none nan ");
  EXPECT_EQ(order_by("pipeline"), "a b c nan none ");
  EXPECT_THROW(order_by("rel_l2_error:up"), ConfigError);
  EXPECT_THROW(order_by("error"), ConfigError);
}

}  // namespace
}  // namespace maskerade
