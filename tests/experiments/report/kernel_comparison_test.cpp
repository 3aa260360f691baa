#include "experiments/report/kernel_comparison.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/experiments/results/example_result.hpp"

namespace maskerade {
namespace {

CellResult result_of(const std::string& pipeline,
                     const std::string& kernel,
                     double plan_ms,
                     double attend_ms) {
  CellResult result = example_result();
  result.pipeline = pipeline;
  result.kernel = kernel;
  result.kernel_mix = kernel == "auto" ? "tiles 82%, dense 18%" : kernel;
  result.times->plan = summary_of(plan_ms);
  result.times->attend = summary_of(attend_ms);
  return result;
}

TEST(KernelComparison, NamesTheWorstCell) {
  CellResult failed = result_of("a", "dense", 0, 1);
  failed.status = CellStatus::kFailed;
  KernelComparison comparison;
  comparison.add(
      std::vector<CellResult>{result_of("a", "auto", 1, 20), result_of("a", "tiles", 1, 19),
                              result_of("a", "rows", 10, 12), failed, result_of("b", "auto", 1, 10),
                              result_of("b", "rows", 0, 10), result_of("alone", "auto", 100, 100)});
  EXPECT_EQ(comparison.cells(), 2U);
  EXPECT_DOUBLE_EQ(comparison.worst(), 1.1);
  comparison.add(
      std::vector<CellResult>{result_of("c", "auto", 1, 1), result_of("c", "rows", 2, 2)});
  EXPECT_EQ(comparison.text(136),
            "auto took at worst 1.10 x the best kernel named by hand, plan and attend, in 3 cells "
            "(prefill, b: tiles 82%, dense 18% against rows)\n");
}

TEST(KernelComparison, OfOneKernelIsNothing) {
  KernelComparison comparison;
  comparison.add(std::vector<CellResult>{result_of("a", "auto", 1, 20)});
  EXPECT_EQ(comparison.text(136), "");
}

}  // namespace
}  // namespace maskerade
