#include "experiments/stress/draw_cell.hpp"

#include <gtest/gtest.h>

#include <set>

#include "experiments/stress/cell_series.hpp"
#include "tests/experiments/stress/stress_for_test.hpp"

namespace maskerade::stress {
namespace {

CheckedCell draw(const CellPopulation& population, std::int64_t number) {
  SelectingOnly checker;
  return draw_and_check(population, number, checker);
}

std::string cell_text(std::int64_t number, const CellPopulation& population) {
  return to_string(draw(population, number).cell.value());
}

TEST(DrawCell, IsAFunctionOfPopulationAndNumber) {
  const Catalog catalog = catalog_with();
  CellPopulation population = population_of(catalog, {"sink", "local", "quest", "oracle_topk"}, 5);
  std::set<std::string> texts;
  for (const std::int64_t number : {9, 3, 0}) {
    texts.insert(cell_text(number, population));
    EXPECT_EQ(cell_text(number, population), cell_text(number, population));
  }
  population.seed = 6;
  texts.insert(cell_text(3, population));
  EXPECT_EQ(texts.size(), 4U);
}

TEST(DrawCell, GoesRoundTheMaskers) {
  const Catalog catalog = catalog_with();
  const CellPopulation population = population_of(catalog, {"sink", "quest", "strided"}, 1);
  for (std::int64_t number = 0; number < 6; ++number) {
    const CheckedCell drawn = draw(population, number);
    ASSERT_TRUE(drawn.cell);
    EXPECT_EQ(drawn.number, number);
    EXPECT_EQ(drawn.row, population.maskers[static_cast<std::size_t>(number % 3)].type->id());
    EXPECT_EQ(drawn.cell->subject().type->id(), drawn.row);
    EXPECT_GE(drawn.cell->maskers.size(), 1U);
    EXPECT_LE(drawn.cell->maskers.size(), 4U);
  }
}

// Two samplers over one population, and maskers that read what samplers have made active.
TEST(DrawCell, CountsWhatTheProgramRefuses) {
  const Catalog catalog = catalog_with();
  const CellPopulation population = population_of(catalog, {"random_sampling", "magic_pig"}, 1);
  std::int64_t refusals = 0;
  for (std::int64_t number = 0; number < 12; ++number) {
    const CheckedCell drawn = draw(population, number);
    EXPECT_TRUE(drawn.cell);
    EXPECT_EQ(drawn.refusals == 0, drawn.refusal.empty());
    refusals += drawn.refusals;
  }
  EXPECT_GT(refusals, 0);
}

TEST(DrawCell, TakesTheDevicesAndThreadsOfThePopulation) {
  const Catalog catalog = catalog_with();
  CellPopulation population = population_of(catalog, {"sink"}, 1);
  population.devices = {"cpu", "cuda"};
  population.most_threads = 2;
  std::set<std::string> devices;
  for (std::int64_t number = 0; number < 12; ++number) {
    const CheckedCell drawn = draw(population, number);
    devices.insert(drawn.cell->device);
    EXPECT_LE(drawn.cell->threads, 2);
  }
  EXPECT_EQ(devices, (std::set<std::string>{"cpu", "cuda"}));
}

TEST(PublishedCells, AreThoseOfTheSuites) {
  const Catalog catalog = catalog_with();
  const std::vector<StressCell> cells = published_cells({.type = catalog.find("quest")}, 3);
  const auto cases = rules::published_cases();
  ASSERT_EQ(cells.size(), cases.size());
  LocalChecker checker;
  for (std::size_t i = 0; i < cells.size(); ++i) {
    EXPECT_EQ(cells[i].problem.shape, cases[i].shape);
    EXPECT_EQ(cells[i].subject().to_yaml(), "{quest: {budget: " + cases[i].budget_text() + "}}");
    EXPECT_EQ(refusal_of(cells[i]), "");
  }
  CellSeries series = published_series({{.type = catalog.find("quest")}}, 3, "cpu");
  EXPECT_EQ(series.count, static_cast<std::int64_t>(cells.size()));
  const CheckedCell last = series.check(series.count - 1, checker);
  EXPECT_EQ(last.row, "edge");
  EXPECT_TRUE(last.outcome.failures.empty());
  EXPECT_GT(last.outcome.checked.size(), 6U);
  EXPECT_TRUE(series.totals.add(last).empty());
  EXPECT_EQ(series.totals.table().rows.size(), 8U);
}

TEST(DrawCell, KeepsWhatIsGiven) {
  const Catalog catalog = catalog_with();
  CellPopulation population = population_of(catalog, {"quest"}, 1);
  population.given = {.parameters = {{.name = "page_size", .values = {"7"}}},
                      .shape = AttentionShape{1, 6, 2, 3, 50, 24},
                      .layer = 4};
  for (std::int64_t number = 0; number < 4; ++number) {
    const StressCell cell = draw(population, number).cell.value();
    EXPECT_EQ(cell.problem.shape, population.given.shape.value());
    EXPECT_EQ(StressProblem(cell.problem).inputs.layer, 4);
    for (const MaskerUse& use : cell.uses()) {
      EXPECT_NE(to_string(cell).find("page_size: 7"), std::string::npos) << to_string(cell);
      EXPECT_EQ(use.arguments->resolved()[2],
                std::pair(std::string("page_size"), std::string("7")));
    }
  }
  EXPECT_EQ(arguments_of(population.given), " --set page_size=7 --shape 1,6,2,3,50,24 --layer 4");
  EXPECT_EQ(why_left_out(*catalog.find("hash_attention"),
                         {.parameters = {{.name = "file", .values = {"planes.safetensors"}}}}),
            "");
}

TEST(DrawCell, LeavesOutMaskersThatNeedAFile) {
  const Catalog catalog = catalog_with();
  EXPECT_EQ(why_left_out(*catalog.find("hash_attention")), "\"file\" has no default");
  EXPECT_EQ(why_left_out(*catalog.find("quest")), "");
}

}  // namespace
}  // namespace maskerade::stress
