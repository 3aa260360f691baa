#include "experiments/compare/cell_pairs.hpp"

#include <gtest/gtest.h>

#include "tests/experiments/compare/sides_for_test.hpp"

namespace maskerade::compare {
namespace {

// "a=b" for each pair, by pipelines.
std::string text_of(const CellPairs& paired) {
  std::string text;
  for (const CellPair& pair : paired.pairs) {
    text += pair.a.first().pipeline + "=" + pair.b.first().pipeline + " ";
  }
  for (const CellRuns& cell : paired.only_a) text += "A:" + cell.first().pipeline + " ";
  for (const CellRuns& cell : paired.only_b) text += "B:" + cell.first().pipeline + " ";
  return text;
}

TEST(PairCells, PairsByWhatCellsAreInTheOrderOfA) {
  const Side a = side_of({{timed_cell(0, "x", 1), timed_cell(1, "y", 1), timed_cell(2, "z", 1)}});
  const Side b = side_of({{timed_cell(0, "z", 1), timed_cell(1, "new", 1), timed_cell(2, "x", 1)}});
  EXPECT_EQ(text_of(pair_cells(a, b)), "x=x z=z A:y B:new ");
}

TEST(PairCells, PassesOverWhoMeasuredAndHow) {
  CellResult other = timed_cell(9, "x", 3);
  other.program_version = "2";
  other.machine = "another";
  other.cost_model = "calibrated";
  other.plugins = {{"local", "1234"}};
  other.measure_budget_ms = 5;
  other.tolerance = 1e-3;
  other.kernel_mix = "rows";
  EXPECT_EQ(identity_of(other), identity_of(timed_cell(0, "x", 1)));
}

TEST(PairCells, TellsApartWhatIsMeasured) {
  const CellResult cell = timed_cell(0, "x", 1);
  const auto differs = [&](auto&& change) {
    CellResult other = cell;
    change(other);
    return identity_of(other) != identity_of(cell);
  };
  EXPECT_TRUE(differs([](CellResult& other) { other.threads = 7; }));
  EXPECT_TRUE(differs([](CellResult& other) { other.mask_seed = 5; }));
  EXPECT_TRUE(differs([](CellResult& other) { other.kernel = "rows"; }));
  EXPECT_TRUE(differs([](CellResult& other) { other.device = "cuda"; }));
  EXPECT_TRUE(differs([](CellResult& other) { other.seed = 2; }));
  EXPECT_TRUE(differs([](CellResult& other) { other.facts->shape.key_len = 9; }));
  EXPECT_TRUE(differs([](CellResult& other) { other.facts->layer = 9; }));
  EXPECT_TRUE(differs([](CellResult& other) { other.params.front().second.clear(); }));
  EXPECT_TRUE(differs([](CellResult& other) { other.routes.clear(); }));
  EXPECT_TRUE(differs([](CellResult& other) { other.decode_steps = 4; }));
}

TEST(PairCells, PassesOverTheParameterThatASearchFound) {
  CellResult one = matched_result();
  CellResult other = matched_result();
  other.params.back().second.front().second = "104";
  EXPECT_EQ(identity_of(one), identity_of(other));
  other.match->target = 0.2;
  EXPECT_NE(identity_of(one), identity_of(other));
}

TEST(PairCells, PairsWhatWasRenamedWhereItIsClear) {
  CellResult renamed = timed_cell(0, "x", 1);
  renamed.pipeline = "renamed";
  renamed.experiment = "another";
  EXPECT_EQ(text_of(pair_cells(side_of({{timed_cell(0, "x", 1)}}), side_of({{renamed}}))),
            "x=renamed ");
  // Two may be meant.
  CellResult second = renamed;
  second.pipeline = "second";
  EXPECT_EQ(text_of(pair_cells(side_of({{timed_cell(0, "x", 1)}}), side_of({{renamed, second}}))),
            "A:x B:renamed B:second ");
  // Names decide.
  const Side both = side_of({{timed_cell(0, "x", 1), renamed}});
  EXPECT_EQ(text_of(pair_cells(both, both)), "x=x renamed=renamed ");
}

TEST(PairCells, PairsRepeatedCellsInTheirOrder) {
  const Side twice = side_of({{timed_cell(0, "x", 1), timed_cell(1, "x", 2)}});
  const CellPairs paired = pair_cells(twice, twice);
  ASSERT_EQ(paired.pairs.size(), 2U);
  for (const CellPair& pair : paired.pairs) EXPECT_EQ(&pair.a.first(), &pair.b.first());
}

TEST(PairCells, PairsACellWhoseDataIsMissingOnOneSideByItsNames) {
  CellResult lost = timed_cell(0, "x", 1);
  lost.facts.reset();
  lost.status = CellStatus::kFailed;
  EXPECT_EQ(text_of(pair_cells(side_of({{timed_cell(0, "x", 1)}}), side_of({{lost}}))), "x=x ");
}

TEST(PairCells, GathersTheRunsOfASide) {
  const Side a = side_of({{timed_cell(0, "x", 1)},
                          {timed_cell(0, "y", 1)},
                          {timed_cell(0, "y", 1), timed_cell(1, "x", 3)}});
  const CellPairs paired = pair_cells(a, side_of({{timed_cell(0, "x", 1)}}));
  ASSERT_EQ(paired.pairs.size(), 1U);
  const std::vector<const CellResult*>& runs = paired.pairs.front().a.by_run;
  ASSERT_EQ(runs.size(), 3U);
  EXPECT_EQ(runs[1], nullptr);
  EXPECT_EQ(runs[2]->times->total.median, 3);
  EXPECT_EQ(paired.only_a.size(), 1U);
}

}  // namespace
}  // namespace maskerade::compare
