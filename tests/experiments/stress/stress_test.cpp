// Planted defects are found, shrunk and told apart from what is right.
#include <gtest/gtest.h>

#include <optional>

#include "experiments/config/experiment.hpp"
#include "experiments/stress/check_cell.hpp"
#include "experiments/stress/draw_cell.hpp"
#include "experiments/stress/reproduction.hpp"
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
        population_(population_of(catalog_, {"sink", GetParam().masker, "local"}, 2)) {}

  // The first failure among few cells.
  std::optional<CellFailure> first_failure() {
    for (std::int64_t number = 0; number < 24; ++number) {
      const CheckedCell checked = draw_and_check_here(population_, number);
      totals_.add(checked);
      for (const CellFailure& failure : checked.outcome.failures) {
        if (failure.invariant == GetParam().invariant) return failure;
      }
    }
    return std::nullopt;
  }

  Catalog catalog_;
  CellPopulation population_;
  StressTotals totals_{StressTotals::Rows::kMaskers, {"sink"}};
};

TEST_P(Planted, IsFoundAndShrunk) {
  const std::optional<CellFailure> found = first_failure();
  ASSERT_TRUE(found);
  EXPECT_EQ(found->cell.subject().type->id(), GetParam().masker);
  const CellFailure smallest = shrink_here(*found);
  EXPECT_EQ(smallest.invariant, GetParam().invariant);
  ASSERT_EQ(smallest.cell.maskers.size(), 1U) << to_string(smallest.cell);
  EXPECT_EQ(smallest.cell.subject().type->id(), GetParam().masker);
  EXPECT_FALSE(smallest.cell.has_previous());
  EXPECT_EQ(smallest.cell.problem.shape.batch, 1);
  EXPECT_EQ(smallest.cell.problem.shape.head_dim, 8);
  EXPECT_EQ(smallest.cell.problem.dtype, DType::kFloat32);
  EXPECT_EQ(smallest.cell.problem.kind, rules::DataKind::kNormal);
  EXPECT_EQ(smallest.violations.front().rule.substr(0, std::string(GetParam().rule).size()),
            GetParam().rule);
  // Shrinking it again finds nothing simpler.
  EXPECT_EQ(to_string(shrink_here(smallest).cell), to_string(smallest.cell));
  EXPECT_GT(totals_.failures(), 0);
  EXPECT_NE(to_csv(std::vector{totals_.table()}).find("failed"), std::string::npos);
}

TEST_P(Planted, IsNamedByAnExperimentFileThatCanBeRead) {
  const std::optional<CellFailure> found = first_failure();
  ASSERT_TRUE(found);
  const CellFailure smallest = shrink_here(*found);
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

// A cell whose masker has a plain reference.
StressCell local_with_reference(const Catalog& catalog, const Catalog& references) {
  StressCell cell;
  cell.maskers = {{.type = catalog.find("local"),
                   .given = {{.name = "window", .values = {"5"}}},
                   .reference = references.find("local")}};
  cell.problem = {.shape = {1, 1, 1, 70, 70, 8}, .causal = true};
  return cell;
}

TEST(Reference, ThatSelectsTheSameIsNoFailure) {
  const Catalog catalog = catalog_with();
  Catalog references;
  references.load_folder(MASKERADE_BUILT_IN_REFERENCES, true);
  const StressCell cell = local_with_reference(catalog, references);
  EXPECT_EQ(check_invariant(Invariant::kReference, cell), rules::Violations());
  StressCell without = cell;
  without.maskers.back().reference = nullptr;
  EXPECT_EQ(check_invariant(Invariant::kReference, without), std::nullopt);
}

TEST(Reference, ThatSelectsOtherKeysIsAFailure) {
  const Catalog catalog = catalog_with();
  Catalog references;
  references.load(std::filesystem::path(MASKERADE_TEST_PLUGINS) / "narrow_local.so");
  const auto found =
      check_invariant(Invariant::kReference, local_with_reference(catalog, references));
  ASSERT_TRUE(found && !found->empty());
  EXPECT_EQ(found->front().rule, "the mask is that of the plain reference");
  EXPECT_EQ(found->front().where, (rules::EntryLocation{0, 0, 4, 0}));
}

TEST(Reference, ThatRefusesParametersIsNotAsked) {
  const Catalog catalog = catalog_with();
  Catalog references;
  references.load_folder(MASKERADE_BUILT_IN_REFERENCES, true);
  StressCell cell;
  cell.maskers = {
      {.type = catalog.find("oracle_topk"),
       .given = {{.name = "budget", .values = {"2"}}, {.name = "share", .values = {"kv_head"}}},
       .reference = references.find("oracle_topk")}};
  cell.problem = {.shape = {1, 2, 1, 3, 9, 8}};
  EXPECT_EQ(check_invariant(Invariant::kReference, cell), std::nullopt);
  cell.maskers.back().given.pop_back();
  EXPECT_EQ(check_invariant(Invariant::kReference, cell), rules::Violations());
}

TEST(CheckCell, AsksForNoDeviceWhereTheCellHasNone) {
  const Catalog catalog = catalog_with();
  StressCell cell;
  cell.maskers = {{.type = catalog.find("sink"), .given = {}}};
  cell.problem = {.shape = {1, 1, 1, 2, 3, 8}};
  EXPECT_EQ(check_invariant(Invariant::kDevices, cell), std::nullopt);
}

TEST(StressTotals, ATableOfRightMaskersHasNoFailure) {
  const Catalog catalog = catalog_with();
  const std::vector<std::string> ids = {"quest", "random_sampling", "sink"};
  const CellPopulation population = population_of(catalog, ids, 3);
  StressTotals totals(StressTotals::Rows::kMaskers, ids);
  for (std::int64_t number = 0; number < 6; ++number) {
    const CheckedCell checked = draw_and_check_here(population, number);
    ASSERT_TRUE(checked.cell);
    EXPECT_TRUE(totals.add(checked).empty());
  }
  const TextTable table = totals.table();
  ASSERT_EQ(table.rows.size(), 3U);
  for (const TextRow& row : table.rows) {
    // Nobody was asked whether the process survives, for a reference or for a device.
    ASSERT_EQ(row.cells.size(), 1 + kAllInvariants.size() - 3);
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
