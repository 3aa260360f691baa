// Planted defects are found, shrunk and told apart from what is right.
#include <gtest/gtest.h>

#include <optional>

#include "experiments/config/experiment.hpp"
#include "experiments/stress/check_cell.hpp"
#include "experiments/stress/draw_cell.hpp"
#include "experiments/stress/reproduction.hpp"
#include "experiments/stress/shrink.hpp"
#include "experiments/stress/stress_totals.hpp"
#include "tests/experiments/stress/stress_for_test.hpp"

namespace maskerade::stress {
namespace {

struct PlantedDefect {
  const char* masker;
  Invariant invariant;
  const char* rule;  // of the violation
};
void PrintTo(const PlantedDefect& defect, std::ostream* stream) { *stream << defect.masker; }

class Planted : public testing::TestWithParam<PlantedDefect> {
 protected:
  Planted()
      : catalog_(catalog_with(GetParam().masker)),
        maskers_(find_all(catalog_, {"sink", GetParam().masker, "local"})) {}

  // The first failure among few cells.
  std::optional<CellFailure> first_failure() {
    for (std::int64_t number = 0; number < 24; ++number) {
      const DrawnCell drawn = draw_cell(2, number, maskers_);
      if (!drawn.cell) continue;
      const CellOutcome outcome = check_cell(*drawn.cell);
      totals_.add(drawn, outcome);
      for (const CellFailure& failure : outcome.failures) {
        if (failure.invariant == GetParam().invariant) return failure;
      }
    }
    return std::nullopt;
  }

  Catalog catalog_;
  Maskers maskers_;
  StressTotals totals_{maskers_};
};

TEST_P(Planted, IsFoundAndShrunk) {
  const std::optional<CellFailure> found = first_failure();
  ASSERT_TRUE(found);
  EXPECT_EQ(found->cell.subject().type->id(), GetParam().masker);
  const CellFailure smallest = shrink(*found);
  EXPECT_EQ(smallest.invariant, GetParam().invariant);
  ASSERT_EQ(smallest.cell.maskers.size(), 1U) << to_string(smallest.cell);
  EXPECT_EQ(smallest.cell.subject().type->id(), GetParam().masker);
  EXPECT_FALSE(smallest.cell.has_previous);
  EXPECT_EQ(smallest.cell.problem.shape.batch, 1);
  EXPECT_EQ(smallest.cell.problem.shape.head_dim, 8);
  EXPECT_EQ(smallest.cell.problem.dtype, DType::kFloat32);
  EXPECT_EQ(smallest.cell.problem.kind, rules::DataKind::kNormal);
  EXPECT_EQ(smallest.violations.front().rule.substr(0, std::string(GetParam().rule).size()),
            GetParam().rule);
  // Shrinking it again finds nothing simpler.
  EXPECT_EQ(to_string(shrink(smallest).cell), to_string(smallest.cell));
  EXPECT_GT(totals_.failures(), 0);
  EXPECT_NE(to_csv(std::vector{totals_.table()}).find("failed"), std::string::npos);
}

TEST_P(Planted, IsNamedByAnExperimentFileThatCanBeRead) {
  const std::optional<CellFailure> found = first_failure();
  ASSERT_TRUE(found);
  const CellFailure smallest = shrink(*found);
  const std::string text =
      experiment_text(smallest, {.seed = 2, .number = 17, .arguments = " --plugin wrong.so"}, "");
  EXPECT_NE(text.find("# masker \"" + std::string(GetParam().masker) + "\" breaks"),
            std::string::npos);
  EXPECT_NE(text.find(GetParam().rule), std::string::npos);
  EXPECT_NE(text.find("maskerade stress --seed 2 --cell 17 --plugin wrong.so\n"),
            std::string::npos);
  const Experiment experiment = parse_experiment(text, "stress-2-17.yaml", {}, catalog_);
  EXPECT_EQ(experiment.name, "stress-2-17");
  ASSERT_EQ(experiment.pipelines.size(), 1U);
  ASSERT_EQ(experiment.pipelines.front().maskers.size(), 1U);
  EXPECT_EQ(experiment.pipelines.front().maskers.front().type->id(), GetParam().masker);
  EXPECT_EQ(experiment.pipelines.front().maskers.front().arguments->resolved(),
            smallest.cell.uses().front().arguments->resolved());
  EXPECT_EQ(experiment.workloads.front().query_len, smallest.cell.problem.shape.query_len);
  EXPECT_EQ(experiment.workloads.front().key_len, smallest.cell.problem.shape.key_len);
}

INSTANTIATE_TEST_SUITE_P(
    Defects,
    Planted,
    testing::Values(
        PlantedDefect{"first_of_call", Invariant::kRepeatable, "the same is selected again"},
        PlantedDefect{"over_budget", Invariant::kBudget, "a row gets no more keys than the budget"},
        PlantedDefect{"head_peeker", Invariant::kDeclared, "the head, which is not declared"},
        PlantedDefect{"place_in_unit", Invariant::kDeclared, "the head, which is not declared"},
        PlantedDefect{"stale_index", Invariant::kIndex, "appending"}),
    [](const auto& with) { return std::string(with.param.masker); });

// Where the masker stands before others, it is to blame, and not they.
TEST(CheckCell, BlamesTheMaskerAndNotThoseBehindIt) {
  const Catalog catalog = catalog_with("first_of_call");
  StressCell cell;
  cell.maskers = {{.type = catalog.find("first_of_call"), .given = {}},
                  {.type = catalog.find("local"), .given = {{.name = "window", .values = {"2"}}}}};
  cell.problem = {.shape = {1, 1, 1, 130, 130, 8}};
  const CellOutcome outcome = check_cell(cell);
  ASSERT_FALSE(outcome.failures.empty());
  for (const CellFailure& failure : outcome.failures) {
    EXPECT_EQ(failure.cell.subject().type->id(), "first_of_call");
  }
}

TEST(StressTotals, ATableOfRightMaskersHasNoFailure) {
  const Catalog catalog = catalog_with();
  const Maskers maskers = find_all(catalog, {"sink", "quest", "random_sampling"});
  StressTotals totals(maskers);
  for (std::int64_t number = 0; number < 6; ++number) {
    const DrawnCell drawn = draw_cell(3, number, maskers);
    ASSERT_TRUE(drawn.cell);
    EXPECT_TRUE(totals.add(drawn, check_cell(*drawn.cell)).empty());
  }
  const TextTable table = totals.table();
  ASSERT_EQ(table.rows.size(), 3U);
  for (const TextRow& row : table.rows) {
    ASSERT_EQ(row.cells.size(), 1 + kAllInvariants.size());
    EXPECT_EQ(row.cells[1].text, "2") << row.cells[0].text;
    for (const TextCell& cell : row.cells) EXPECT_NE(cell.tone, Tone::kError) << cell.text;
  }
  // Neither has a budget nor an index.
  EXPECT_EQ(table.rows.back().cells[0].text, "sink");
  EXPECT_EQ(table.rows.back().cells[6].text, "-");
  EXPECT_EQ(table.rows.back().cells[7].text, "-");
  EXPECT_TRUE(table.notes.empty());
  EXPECT_EQ(totals.failures(), 0);
  EXPECT_EQ(totals.cells(), 6);
  EXPECT_TRUE(totals.last_line(1.5).starts_with("6 cells, ")) << totals.last_line(1.5);
  EXPECT_TRUE(totals.last_line(1.5).ends_with(" 0 failures, 1.5 s")) << totals.last_line(1.5);
}

}  // namespace
}  // namespace maskerade::stress
