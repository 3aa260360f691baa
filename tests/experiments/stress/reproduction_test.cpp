#include "experiments/stress/reproduction.hpp"

#include <gtest/gtest.h>

#include <cstring>
#include <fstream>

#include "experiments/config/experiment.hpp"
#include "experiments/data/workload.hpp"
#include "framework/base/error.hpp"
#include "tests/experiments/stress/stress_for_test.hpp"
#include "tests/framework/tensor_files/safetensors_for_test.hpp"

namespace maskerade::stress {
namespace {

bool have_equal_numbers(const Tensor& a, const Tensor& b) {
  const TensorView x = a.view();
  const TensorView y = b.view();
  if (x.dtype != y.dtype || x.batch != y.batch || x.heads != y.heads || x.length != y.length ||
      x.dim != y.dim) {
    return false;
  }
  const auto count = static_cast<std::size_t>(x.batch * x.heads * x.length * x.dim);
  return std::memcmp(x.data, y.data, count * size_of(x.dtype)) == 0;
}

// Whatever the data is like, the written experiment has the numbers that failed.
TEST(Reproduction, HasTheNumbersOfTheProblem) {
  const Catalog catalog = catalog_with();
  for (const rules::DataKind kind : rules::all_data_kinds()) {
    for (const DType dtype : {DType::kFloat32, DType::kFloat16, DType::kBFloat16}) {
      const DataFolder folder;
      StressCell cell;
      cell.maskers = {{.type = catalog.find("quest"),
                       .given = {{.name = "budget", .values = {"5% of visible"}},
                                 {.name = "share", .values = {"all"}}}}};
      cell.problem = {.shape = {2, 6, 3, 4, 5, 16}, .dtype = dtype, .causal = true, .kind = kind};
      cell.mask_seed = 7;
      const CellFailure failure{Invariant::kKernels, cell, {{"a rule", {.head = 1}, "a finding"}}};
      const std::filesystem::path file =
          write_reproduction(failure, {.seed = 1, .number = 2, .failure = 2}, folder.path());
      EXPECT_EQ(file, folder.path() / "stress-1-2-2.yaml");
      const Experiment experiment = read_experiment(file, {}, catalog);
      const Workload workload = load_workload(experiment.workloads.front());
      const StressProblem problem(cell.problem);
      EXPECT_EQ(workload.shape, cell.problem.shape);
      EXPECT_TRUE(workload.causal);
      EXPECT_TRUE(have_equal_numbers(workload.q, problem.q)) << rules::name_of(kind);
      EXPECT_TRUE(have_equal_numbers(workload.k, problem.k)) << rules::name_of(kind);
      EXPECT_TRUE(have_equal_numbers(workload.v, problem.v)) << rules::name_of(kind);
      EXPECT_EQ(experiment.mask_seeds, std::vector<std::uint64_t>{7});
      EXPECT_EQ(experiment.checks.front().check.oracle_rows, -1);
    }
  }
}

// What ends its process is run in one of its own, and not for ever.
TEST(Reproduction, OfACellThatDidNotSurviveIsIsolated) {
  const Catalog catalog = catalog_with();
  StressCell cell;
  cell.maskers = {{.type = catalog.find("sink"), .given = {}}};
  cell.problem = {.shape = {1, 1, 1, 2, 3, 8}};
  cell.device = "cuda";
  const std::string text = experiment_text({Invariant::kSurvives, cell, {}}, {}, "");
  const Experiment experiment = parse_experiment(text, "stress-0-0.yaml", {}, catalog);
  EXPECT_EQ(experiment.isolation, Isolation::kAll);
  EXPECT_EQ(experiment.checks.front().measure.cell_timeout_ms, 60'000);
  EXPECT_EQ(experiment.devices, (std::vector<std::string>{"cpu", "cuda"}));
}

TEST(Reproduction, IntoAFolderThatIsNotThereIsAnError) {
  const Catalog catalog = catalog_with();
  StressCell cell;
  cell.maskers = {{.type = catalog.find("sink"), .given = {}}};
  EXPECT_THROW(write_reproduction({Invariant::kMasks, cell, {}}, {}, "/nowhere/at/all"), DataError);
}

}  // namespace
}  // namespace maskerade::stress
