#include "experiments/compare/alternation.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>
#include <random>
#include <set>
#include <string>
#include <tuple>
#include <utility>

#include "tests/experiments/compare/sides_for_test.hpp"

namespace maskerade::compare {
namespace {

// What a shared machine does to a run's median.
struct Noise {
  double spread = 0.02;      // of every run
  double disturbed = 0.1;    // share of the runs that something else slows down
  double most_slowed = 0.6;  // by up to that share
};

// Two builds that take turns on a simulated machine: B takes `factor` times as long for the first
// `changed` cells.
class SimulatedBuilds {
 public:
  SimulatedBuilds(Noise noise, double factor, std::int64_t changed, std::uint64_t seed)
      : noise_(noise), factor_(factor), changed_(changed), engine_(seed) {}

  RunCells run_cells() {
    return [this](Build build, std::size_t run, const std::vector<std::int64_t>& cells) {
      turns_.push_back(build);
      std::vector<CellResult> results;
      for (const std::int64_t cell : cells) {
        ++runs_of_[{build, cell}];
        EXPECT_TRUE(places_.insert({build, run, cell}).second) << "a run has a cell once";
        double log = noise_.spread * normal_(engine_);
        if (uniform_(engine_) < noise_.disturbed) log += noise_.most_slowed * uniform_(engine_);
        if (build == Build::kB && cell < changed_) log += std::log(factor_);
        CellResult result;
        result.cell = cell;
        result.pipeline = "p" + std::to_string(cell);
        result.mask_seed = 0;
        result.facts = WorkloadFacts{};
        result.facts->layer = cell;
        result.times = StageTimes{.total = {.median = std::exp(log), .min = 1},
                                  .dense = {.median = 1, .min = 1}};
        results.push_back(std::move(result));
      }
      return results;
    };
  }
  int runs_of(Build build, std::int64_t cell) { return runs_of_[{build, cell}]; }
  const std::vector<Build>& turns() const { return turns_; }

 private:
  Noise noise_;
  double factor_;
  std::int64_t changed_;
  std::mt19937_64 engine_;
  std::normal_distribution<double> normal_;
  std::uniform_real_distribution<double> uniform_;
  std::vector<Build> turns_;
  std::map<std::pair<Build, std::int64_t>, int> runs_of_;
  std::set<std::tuple<Build, std::size_t, std::int64_t>> places_;
};

std::vector<std::int64_t> first_cells(std::int64_t count) {
  std::vector<std::int64_t> cells(static_cast<std::size_t>(count));
  std::iota(cells.begin(), cells.end(), std::int64_t{0});
  return cells;
}

CompareOptions options_of(const AlternationOptions& alternation) {
  return {.is_paired = true,
          .rule = {.looks = static_cast<int>(looks_of(alternation.rounds).size())}};
}

Comparison compare(const AlternatedRuns& runs, const AlternationOptions& alternation) {
  return compare_sides(runs.a, runs.b, options_of(alternation));
}

TEST(LooksOf, AreAllRoundsAndItsHalvesDownToFour) {
  EXPECT_EQ(looks_of(32), (std::vector<int>{4, 8, 16, 32}));
  EXPECT_EQ(looks_of(20), (std::vector<int>{5, 10, 20}));
  EXPECT_EQ(looks_of(200), (std::vector<int>{25, 50, 100, 200}));
  EXPECT_EQ(looks_of(7), (std::vector<int>{7}));
}

TEST(OrderOf, IsABBAOrBAABAsOftenAsTheOther) {
  int begun_by_a = 0;
  for (std::uint64_t round = 0; round < 1000; ++round) {
    const std::array<Build, 4> order = order_of(3, round, 5);
    EXPECT_EQ(order[0], order[3]);
    EXPECT_EQ(order[1], order[2]);
    EXPECT_NE(order[0], order[1]);
    begun_by_a += order[0] == Build::kA;
  }
  EXPECT_NEAR(begun_by_a, 500, 80);
  EXPECT_EQ(order_of(3, 1, 2), order_of(3, 1, 2));
}

TEST(Alternate, GivesEachCellTwoRunsARoundByEitherBuild) {
  SimulatedBuilds builds({.spread = 0.5}, 1, 0, 1);
  const AlternationOptions alternation{.rounds = 6, .group = 2};
  const AlternatedRuns runs =
      alternate(first_cells(3), alternation, options_of(alternation), builds.run_cells());
  EXPECT_EQ(runs.rounds, 6);
  EXPECT_EQ(runs.a.runs.size(), 12U);
  EXPECT_EQ(runs.b.runs.size(), 12U);
  EXPECT_FALSE(runs.is_cut);
  // Two groups, four turns, six rounds.
  EXPECT_EQ(builds.turns().size(), 2U * 4U * 6U);
  for (std::int64_t cell = 0; cell < 3; ++cell) {
    EXPECT_EQ(builds.runs_of(Build::kA, cell), 12);
    EXPECT_EQ(builds.runs_of(Build::kB, cell), 12);
  }
}

TEST(Alternate, LeavesCellsWithAVerdictAlone) {
  SimulatedBuilds builds({.spread = 0.001, .disturbed = 0}, 1.3, 1, 1);
  const AlternationOptions alternation{.rounds = 16};
  const AlternatedRuns runs =
      alternate(first_cells(4), alternation, options_of(alternation), builds.run_cells());
  EXPECT_EQ(runs.rounds, 4);
  const Comparison comparison = compare(runs, alternation);
  EXPECT_EQ(comparison.count(Verdict::kSlower), 1U);
  EXPECT_EQ(comparison.count(Verdict::kSame), 3U);
}

TEST(Alternate, EndsWhenItIsStopped) {
  SimulatedBuilds builds({}, 1, 0, 1);
  AlternationListener listener;
  listener.is_stopped = [&] { return builds.turns().size() >= 18; };
  const AlternationOptions alternation{.rounds = 16};
  const AlternatedRuns runs =
      alternate(first_cells(3), alternation, options_of(alternation), builds.run_cells(), listener);
  EXPECT_TRUE(runs.is_cut);
  EXPECT_EQ(builds.turns().size(), 18U);
  // What there is can be compared.
  EXPECT_EQ(compare(runs, alternation).cells.size(), 3U);
  const AlternationOptions no_time{.rounds = 16, .most_ms = -1};
  EXPECT_TRUE(alternate(first_cells(3), no_time, options_of(no_time), builds.run_cells()).is_cut);
}

// Statistic: of three comparisons of 60 cells, how many verdicts are false. Nothing differs: 5 % of
// such comparisons have any FASTER or SLOWER; three in one of a fixed seed would be a wrong rule.
// Twin: half of the cells take 10 % longer, which must be found.
TEST(Alternate, TellsAChangeFromNoise) {
  const AlternationOptions alternation{.rounds = 32, .group = 60};
  std::size_t false_verdicts = 0;
  for (const std::uint64_t seed : {1, 2, 3}) {
    SimulatedBuilds builds({}, 1, 0, seed);
    const AlternatedRuns runs =
        alternate(first_cells(60), alternation, options_of(alternation), builds.run_cells());
    const Comparison comparison = compare(runs, alternation);
    false_verdicts += comparison.count(Verdict::kFaster) + comparison.count(Verdict::kSlower);
    EXPECT_GE(comparison.count(Verdict::kSame), 54U);
  }
  EXPECT_EQ(false_verdicts, 0U);
  SimulatedBuilds builds({}, 1.1, 30, 4);
  const AlternatedRuns runs =
      alternate(first_cells(60), alternation, options_of(alternation), builds.run_cells());
  const Comparison comparison = compare(runs, alternation);
  EXPECT_EQ(comparison.count(Verdict::kFaster), 0U);
  for (const ComparedCell& cell : comparison.cells) {
    EXPECT_NE(cell.verdict, cell.a->cell < 30 ? Verdict::kSame : Verdict::kSlower) << cell.a->cell;
  }
  EXPECT_GE(comparison.count(Verdict::kSlower), 28U);
}

}  // namespace
}  // namespace maskerade::compare
