#include "experiments/report/resume_notes.hpp"

#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "tests/experiments/results/example_result.hpp"

namespace maskerade {
namespace {

using Reasons = std::vector<std::string>;

Reasons reasons_after(const std::function<void(CellResult&)>& change) {
  const CellResult older = example_result();
  CellResult current = older;
  change(current);
  return differences_of({&older, &current});
}

TEST(Interrupted, SaysHowFarItCameAndHowToGoOn) {
  EXPECT_EQ(interrupted_text(66, 184, true), "interrupted: 66 of 184 done; continue with --resume");
  EXPECT_EQ(interrupted_text(66, 184, false),
            "interrupted: 66 of 184 done; with --out a run can be continued");
}

TEST(OlderCells, DifferInWhatTheirKeyHolds) {
  EXPECT_EQ(reasons_after([](CellResult& cell) { cell.program_version = "0.2.0"; }),
            Reasons{"program"});
  EXPECT_EQ(reasons_after([](CellResult& cell) { cell.machine = "another"; }), Reasons{"machine"});
  EXPECT_EQ(reasons_after([](CellResult& cell) { cell.threads = 8; }), Reasons{"threads"});
  EXPECT_EQ(reasons_after([](CellResult& cell) { cell.cost_model = "calibrated"; }),
            Reasons{"cost model"});
  EXPECT_EQ(reasons_after([](CellResult& cell) { cell.plugins[0].second = "11"; }),
            Reasons{"plugins"});
  EXPECT_EQ(reasons_after([](CellResult& cell) { cell.params[0].second[0].second = "64"; }),
            Reasons{"parameters"});
  EXPECT_EQ(reasons_after([](CellResult& cell) { cell.facts->shape.key_len = 64; }),
            Reasons{"data"});
  EXPECT_EQ(reasons_after([](CellResult& cell) { cell.seed = 7; }), Reasons{"data"});
  EXPECT_EQ(reasons_after([](CellResult& cell) { cell.measure_budget_ms = 7; }), Reasons{"check"});
  EXPECT_EQ(reasons_after([](CellResult& cell) {
              cell.threads = 8;
              cell.tolerance = 1;
            }),
            (Reasons{"threads", "check"}));
  EXPECT_EQ(reasons_after([](CellResult&) {}), Reasons{"data or check"})
      << "what only the key holds";
}

TEST(OlderCells, OfASearchDoNotDifferInWhatItFound) {
  const CellResult older = matched_result();
  CellResult current = older;
  current.params[1].second[0].second = "104";
  EXPECT_EQ(differences_of({&older, &current}), Reasons{"data or check"});
  current.match->target = 0.2;
  EXPECT_EQ(differences_of({&older, &current}), Reasons{"parameters"});
}

TEST(OlderCells, AreToldWithTheReasonsOfAll) {
  const CellResult older = example_result();
  CellResult costs = older;
  costs.cost_model = "calibrated";
  CellResult threads = older;
  threads.threads = 8;
  EXPECT_EQ(older_cells_text({}), "");
  EXPECT_EQ(older_cells_text(std::vector<OlderCell>(36, {&older, &costs})),
            "36 older cells do not match this run (cost model changed) and are kept with cell = "
            "NULL");
  EXPECT_EQ(older_cells_text(std::vector<OlderCell>{{&older, &costs}, {&older, &threads}}),
            "2 older cells do not match this run (threads, cost model changed) and are kept with "
            "cell = NULL");
  EXPECT_EQ(older_cells_text(std::vector<OlderCell>{{&older, nullptr}}),
            "1 older cell does not match this run (the pipeline or its workload is no longer in "
            "the file) and is kept with cell = NULL");
  EXPECT_EQ(older_cells_text(std::vector<OlderCell>{{&older, nullptr}, {&older, &costs}}),
            "2 older cells do not match this run (cost model changed; the pipeline or its workload "
            "is no longer in the file) and are kept with cell = NULL");
}

TEST(OlderCells, HaveTheNamesOfOneOfThisRun) {
  std::vector<CellResult> cells(4, example_result());
  cells[1].cell = CellResult::kNoNumber;
  cells[2].cell = CellResult::kNoNumber;
  cells[2].mask_seed = 7;
  cells[3].mask_seed = 8;
  const std::vector<OlderCell> older = older_cells_among(cells);
  ASSERT_EQ(older.size(), 2U);
  EXPECT_EQ(older.front().older, &cells[1]);
  EXPECT_EQ(older.front().current, &cells[0]);
  EXPECT_EQ(older.back().older, &cells[2]);
  EXPECT_EQ(older.back().current, nullptr);
}

}  // namespace
}  // namespace maskerade
