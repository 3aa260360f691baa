#include "experiments/report/run_report.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "experiments/report/table.hpp"
#include "tests/experiments/results/example_result.hpp"

namespace maskerade {
namespace {

std::vector<CellResult> noisy_and_failed() {
  CellResult failed = example_result();
  failed.cell = 4;
  failed.status = CellStatus::kFailed;
  failed.reason = "no codebook";
  return {example_result(), failed};
}

TEST(RunReport, EndsWithCountsAndFailures) {
  RunReport report({});
  EXPECT_EQ(report.block({}), "");
  const std::vector<CellResult> results = noisy_and_failed();
  EXPECT_EQ(report.block(results), to_terminal(table_of(results), {}) + "\n");
  EXPECT_EQ(report.end({.not_run = 3, .seconds = 341.24, .command = "maskerade run x.yaml --cell"}),
            "5 cells: 1 ok (1 noisy), 1 failed, 0 not matched, 0 unreachable, 0 unavailable, 3 not "
            "run in 341.2 s\n"
            "1 failed, by cause:\n"
            "  1 (cell 4): no codebook\n"
            "      maskerade run x.yaml --cell 4\n");
}

TEST(RunReport, SaysThatNoisyCellsAreErrorsWhereTheyAre) {
  RunReport report({});
  report.add(std::vector<CellResult>{example_result()});
  EXPECT_EQ(report.end({.is_strict = true}),
            "1 cell: 1 ok (1 noisy), 0 failed, 0 not matched, 0 unreachable, 0 unavailable, 0 not "
            "run; 1 noisy cell is an error (--strict)\n");
  RunReport precise({});
  CellResult result = example_result();
  result.measure_target = 1;
  precise.add(std::vector<CellResult>{result});
  EXPECT_EQ(precise.end({.is_strict = true}).find("--strict"), std::string::npos);
}

TEST(RunReport, ExplainsOnceWhatItsTablesShowInTheOrderOfTheirColumns) {
  CellResult without = example_result();
  without.peaks.reset();
  without.measure_target = 1;
  RunReport report({.width = 200});
  EXPECT_EQ(report.legend(), "");
  report.block(std::vector<CellResult>{without});
  report.block(std::vector<CellResult>{example_result()});
  const std::string legend = report.legend();
  const std::size_t roofline = legend.find("% of roofline");
  EXPECT_LT(legend.find("speedup: dense / total"), roofline) << legend;
  EXPECT_LT(roofline, legend.find("break-even density:")) << legend;
  EXPECT_EQ(legend.find("density: active"), legend.rfind("density: active"));
  EXPECT_NE(legend.find("noisy: "), std::string::npos);
}

TEST(RunReport, OfQuietRunsExplainsNothing) {
  RunReport report({});
  report.add(noisy_and_failed());
  EXPECT_EQ(report.legend(), "");
}

}  // namespace
}  // namespace maskerade
