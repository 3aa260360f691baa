#include "experiments/stress/draw_cell.hpp"

#include <gtest/gtest.h>

#include <set>

#include "tests/experiments/stress/stress_for_test.hpp"

namespace maskerade::stress {
namespace {

std::string cell_text(std::uint64_t seed, std::int64_t number, const Maskers& maskers) {
  return to_string(draw_cell(seed, number, maskers).cell.value());
}

TEST(DrawCell, IsAFunctionOfSeedAndNumber) {
  const Catalog catalog = catalog_with();
  const Maskers maskers = find_all(catalog, {"sink", "local", "quest", "oracle_topk"});
  std::set<std::string> texts;
  for (const std::int64_t number : {9, 3, 0}) {
    texts.insert(cell_text(5, number, maskers));
    EXPECT_EQ(cell_text(5, number, maskers), cell_text(5, number, maskers));
  }
  texts.insert(cell_text(6, 3, maskers));
  EXPECT_EQ(texts.size(), 4U);
}

TEST(DrawCell, GoesRoundTheMaskers) {
  const Catalog catalog = catalog_with();
  const Maskers maskers = find_all(catalog, {"sink", "quest", "strided"});
  for (std::int64_t number = 0; number < 6; ++number) {
    const DrawnCell drawn = draw_cell(1, number, maskers);
    ASSERT_TRUE(drawn.cell);
    EXPECT_EQ(drawn.subject, maskers[static_cast<std::size_t>(number % 3)]->id());
    EXPECT_EQ(drawn.cell->subject().type->id(), drawn.subject);
    EXPECT_GE(drawn.cell->maskers.size(), 1U);
    EXPECT_LE(drawn.cell->maskers.size(), 4U);
  }
}

// Two samplers over one population, and maskers that read what samplers have made active.
TEST(DrawCell, CountsWhatTheProgramRefuses) {
  const Catalog catalog = catalog_with();
  const Maskers maskers = find_all(catalog, {"random_sampling", "magic_pig"});
  std::int64_t refusals = 0;
  for (std::int64_t number = 0; number < 12; ++number) {
    const DrawnCell drawn = draw_cell(1, number, maskers);
    EXPECT_TRUE(drawn.cell);
    EXPECT_EQ(drawn.refusals == 0, drawn.refusal.empty());
    refusals += drawn.refusals;
  }
  EXPECT_GT(refusals, 0);
}

TEST(DrawCell, KeepsWhatIsGiven) {
  const Catalog catalog = catalog_with();
  const Maskers maskers = find_all(catalog, {"quest"});
  const GivenOfCells given = {.parameters = {{.name = "page_size", .values = {"7"}}},
                              .shape = AttentionShape{1, 6, 2, 3, 50, 24},
                              .layer = 4};
  for (std::int64_t number = 0; number < 4; ++number) {
    const StressCell cell = draw_cell(1, number, maskers, given).cell.value();
    EXPECT_EQ(cell.problem.shape, given.shape.value());
    EXPECT_EQ(StressProblem(cell.problem).inputs.layer, 4);
    for (const MaskerUse& use : cell.uses()) {
      EXPECT_NE(to_string(cell).find("page_size: 7"), std::string::npos) << to_string(cell);
      EXPECT_EQ(use.arguments->resolved()[2],
                std::pair(std::string("page_size"), std::string("7")));
    }
  }
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
