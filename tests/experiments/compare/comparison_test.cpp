#include "experiments/compare/comparison.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <stdexcept>

#include "tests/experiments/compare/sides_for_test.hpp"

namespace maskerade::compare {
namespace {

const ComparedCell& cell_of(const Comparison& comparison, const std::string& pipeline) {
  for (const ComparedCell& cell : comparison.cells) {
    if (cell.a->pipeline == pipeline) return cell;
  }
  throw std::out_of_range(pipeline);
}

// A cell with samples around its medians.
CellResult sampled_cell(std::int64_t number,
                        const std::string& pipeline,
                        double total_ms,
                        double dense_ms) {
  CellResult cell = timed_cell(number, pipeline, total_ms, dense_ms);
  const auto seed = static_cast<std::uint64_t>(number);
  cell.samples = {{.stage = "dense", .times_ms = samples_around(dense_ms, 0.01, seed)},
                  {.stage = "total", .times_ms = samples_around(total_ms, 0.01, seed + 100)}};
  return cell;
}

// Single runs of eight cells: B's "changed" takes `change` times as long, and everything in B
// `drift` times, the dense references alternately 1 % more or less.
Comparison single_runs(double change, double drift, const CompareOptions& options) {
  static Side a;
  static Side b;
  std::vector<CellResult> of_a;
  std::vector<CellResult> of_b;
  for (int i = 0; i < 8; ++i) {
    const std::string name = i == 0 ? "changed" : "p" + std::to_string(i);
    const double dense_ms = drift * (i % 2 == 0 ? 101 : 99);
    of_a.push_back(sampled_cell(i, name, 10, 100));
    of_b.push_back(sampled_cell(i, name, drift * (i == 0 ? change : 1) * 10, dense_ms));
  }
  a = side_of({of_a});
  b = side_of({of_b});
  return compare_sides(a, b, options);
}

TEST(CompareSides, TellsByTheDenseReferencesHowFarSingleRunsDiffer) {
  const Comparison comparison = single_runs(1.3, 1, {});
  EXPECT_EQ(cell_of(comparison, "changed").verdict, Verdict::kSlower);
  EXPECT_NEAR(cell_of(comparison, "changed").estimate->ratio(), 1.3, 1e-9);
  EXPECT_EQ(comparison.count(Verdict::kSame), 7U);
  ASSERT_TRUE(comparison.control.has_value());
  EXPECT_NEAR(comparison.control->standard_error, 1.4826 * 0.01, 1e-3);
  EXPECT_EQ(single_runs(0.7, 1, {}).count(Verdict::kFaster), 1U);
}

TEST(CompareSides, IsUnclearWhereTheMachineWasSlower) {
  const Comparison comparison = single_runs(1, 1.2, {});
  EXPECT_EQ(comparison.count(Verdict::kUnclear), 8U);
  // The dense reference makes up for it.
  const Comparison by_ruler = single_runs(1.3, 1.2, {.uses_ruler = true});
  EXPECT_EQ(cell_of(by_ruler, "changed").verdict, Verdict::kSlower);
  EXPECT_NEAR(cell_of(by_ruler, "p2").a_ms.value(), 0.1, 1e-9);
  EXPECT_EQ(by_ruler.count(Verdict::kSlower), 1U);
}

TEST(CompareSides, IsUnclearWhereACellsOwnDenseReferenceMovedWithIt) {
  std::vector<CellResult> of_a;
  std::vector<CellResult> of_b;
  for (int i = 0; i < 8; ++i) {
    of_a.push_back(sampled_cell(i, "p" + std::to_string(i), 10, 100));
    of_b.push_back(sampled_cell(i, "p" + std::to_string(i), i == 3 ? 20 : 10, i == 3 ? 180 : 100));
  }
  const Side a = side_of({of_a});
  const Side b = side_of({of_b});
  EXPECT_EQ(cell_of(compare_sides(a, b, {}), "p3").verdict, Verdict::kUnclear);
}

TEST(CompareSides, NeedsCellsToTellHowFarSingleRunsDiffer) {
  const Side side = side_of({{sampled_cell(0, "x", 10, 100)}});
  const Comparison comparison = compare_sides(side, side, {});
  EXPECT_EQ(comparison.cells.front().verdict, Verdict::kUnclear);
  EXPECT_NE(comparison.cells.front().reason.find("give several runs of each side"),
            std::string::npos);
  EXPECT_NE(compare_sides(side, side, {.quantity = {.typical = Typical::kLeast}})
                .cells.front()
                .reason.find("least time"),
            std::string::npos);
}

TEST(CompareSides, TakesTheIntervalOfAMedianWithoutSamples) {
  std::vector<CellResult> cells;
  for (int i = 0; i < 7; ++i) cells.push_back(timed_cell(i, "p" + std::to_string(i), 10));
  // summary_of() has an interval from half to one and a half times the median.
  const Side side = side_of({cells});
  const Comparison comparison = compare_sides(side, side, {});
  const double error = std::log(3.0) / 3.92;
  EXPECT_NEAR(comparison.cells.front().estimate->standard_error, std::sqrt(2) * error, 1e-9);
  for (CellResult& cell : cells) cell.times->total.lo = cell.times->total.hi = {};
  const Side without = side_of({cells});
  EXPECT_EQ(compare_sides(without, side, {}).cells.front().reason, "too few repetitions in A");
}

// Runs of three cells: the second and the third take so many times as long as in the first.
std::vector<CellResult> run_of(double x, double y, double noise) {
  return {timed_cell(0, "x", x * 10 * noise), timed_cell(1, "y", y * 10 * noise)};
}

TEST(CompareSides, ComparesSeveralRunsByHowFarTheyDiffer) {
  const Side a = side_of({run_of(1, 1, 1), run_of(1, 1, 1.004), run_of(1, 1, 0.996)});
  const Side b = side_of({run_of(1, 1.2, 1), run_of(1, 1.2, 1.004), run_of(1, 1.2, 0.996)});
  const Comparison comparison = compare_sides(a, b, {});
  EXPECT_EQ(cell_of(comparison, "x").verdict, Verdict::kSame);
  EXPECT_EQ(cell_of(comparison, "y").verdict, Verdict::kSlower);
  EXPECT_EQ(cell_of(comparison, "y").runs, 3U);
  EXPECT_FALSE(comparison.control.has_value());
  EXPECT_TRUE(comparison.has_regression());
  EXPECT_FALSE(compare_sides(b, a, {}).has_regression());
}

TEST(CompareSides, ComparesPairsWhateverBothSidesShare) {
  std::vector<std::vector<CellResult>> of_a;
  std::vector<std::vector<CellResult>> of_b;
  for (int i = 0; i < 8; ++i) {
    const double drift = 1 + 0.3 * i;
    const double noise = i % 2 == 0 ? 1.002 : 0.998;
    of_a.push_back(run_of(1, 1, drift));
    of_b.push_back(run_of(noise, 1.2 * noise, drift));
  }
  const Side a = side_of(of_a);
  const Side b = side_of(of_b);
  EXPECT_EQ(compare_sides(a, b, {}).count(Verdict::kUnclear), 2U);
  const Comparison paired = compare_sides(a, b, {.is_paired = true});
  EXPECT_EQ(cell_of(paired, "x").verdict, Verdict::kSame);
  EXPECT_EQ(cell_of(paired, "y").verdict, Verdict::kSlower);
}

TEST(CompareSides, ComparesAnyStage) {
  std::vector<std::vector<CellResult>> runs;
  for (const double noise : {1.0, 1.004, 0.996}) {
    runs.push_back({timed_cell(0, "x", 10)});
    runs.back().front().times->select = summary_of(2 * noise);
  }
  const Side side = side_of(runs);
  const Comparison comparison = compare_sides(side, side, {.quantity = {.stage = Stage::kSelect}});
  EXPECT_NEAR(comparison.cells.front().a_ms.value(), 2, 1e-9);
  const Comparison least = compare_sides(
      side, side, {.quantity = {.stage = Stage::kSelect, .typical = Typical::kLeast}});
  EXPECT_NEAR(least.cells.front().a_ms.value(), 0.5, 1e-9);
  for (const char* name : {"total", "prepare", "select", "plan", "attend", "dense"}) {
    EXPECT_EQ(name_of(parse_stage(name).value()), name);
  }
  EXPECT_FALSE(parse_stage("load").has_value());
}

TEST(CompareSides, LeavesOutCellsWithoutTheStage) {
  CellResult dense = timed_cell(0, "dense", 10);
  dense.mask_seed.reset();
  dense.times->select.reset();
  const Side side = side_of({{dense, timed_cell(1, "x", 10)}});
  EXPECT_EQ(compare_sides(side, side, {}).cells.size(), 2U);
  EXPECT_EQ(compare_sides(side, side, {.quantity = {.stage = Stage::kSelect}}).cells.size(), 1U);
  EXPECT_EQ(compare_sides(side, side, {.uses_ruler = true}).cells.size(), 1U);
  CellResult worse = dense;
  worse.fidelity->rel_l2_error = 1;
  const Side other = side_of({{worse}});
  const Comparison comparison = compare_sides(side, other, {.quantity = {.stage = Stage::kSelect}});
  EXPECT_EQ(comparison.cells.size(), 1U);
  EXPECT_TRUE(comparison.has_regression());
}

TEST(CompareSides, SaysWhyACellHasNoRatio) {
  CellResult failed = timed_cell(0, "failed", 1);
  failed.status = CellStatus::kFailed;
  failed.reason = "an error";
  CellResult untimed = timed_cell(1, "untimed", 1);
  untimed.times.reset();
  const CellResult brief = timed_cell(2, "brief", 1e-4);
  const Side good = side_of(
      {{timed_cell(0, "failed", 1), timed_cell(1, "untimed", 1), timed_cell(2, "brief", 1)}});
  const Comparison comparison = compare_sides(good, side_of({{failed, untimed, brief}}), {});
  EXPECT_EQ(cell_of(comparison, "failed").reason, "failed in B: an error");
  EXPECT_TRUE(cell_of(comparison, "failed").fidelity.is_worse());
  EXPECT_EQ(cell_of(comparison, "untimed").reason, "was not timed in B");
  EXPECT_EQ(cell_of(comparison, "brief").reason, "takes 0.0001 ms in B: too short to compare");
  EXPECT_EQ(comparison.count(Verdict::kUnclear), 3U);
  EXPECT_TRUE(comparison.has_regression());
}

TEST(NotesOnSides, WarnOfOtherMachinesAndNameWhatElseDiffers) {
  const Side a = side_of({{timed_cell(0, "x", 1)}});
  EXPECT_EQ(notes_on_sides(a, a, compare_sides(a, a, {}), {}),
            std::vector<std::string>{"both sides ran program 0.1.0"});
  CellResult other = timed_cell(0, "x", 1);
  other.machine = "another processor";
  other.program_version = "0.2.0";
  other.plugins = {{"sink", "00ff"}, {"oracle_topk", "changed"}};
  const Side b = side_of({{other}});
  const std::vector<std::string> notes = notes_on_sides(a, b, compare_sides(a, b, {}), {});
  ASSERT_EQ(notes.size(), 3U);
  EXPECT_TRUE(notes[0].starts_with("WARNING: these are times of different machines")) << notes[0];
  EXPECT_EQ(notes[1], "programs: 0.1.0 in A, 0.2.0 in B");
  EXPECT_EQ(notes[2], "libraries that differ: oracle_topk");
}

}  // namespace
}  // namespace maskerade::compare
