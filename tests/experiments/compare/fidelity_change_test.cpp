#include "experiments/compare/fidelity_change.hpp"

#include <gtest/gtest.h>

#include "tests/experiments/compare/sides_for_test.hpp"

namespace maskerade::compare {
namespace {

using Texts = std::vector<std::string>;

CellResult cell_with_error(double error, std::uint64_t seed = 0, const char* workload = "w") {
  CellResult cell = timed_cell(0, "x", 1);
  cell.workload = workload;
  cell.mask_seed = seed;
  cell.fidelity->rel_l2_error = error;
  return cell;
}

// The quality changes of windows, each an error in A and in B.
QualityChange quality_of(const std::vector<std::pair<double, double>>& windows) {
  std::vector<CellResult> a;
  std::vector<CellResult> b;
  for (const auto& [of_a, of_b] : windows) {
    const std::string workload = "w" + std::to_string(a.size());
    a.push_back(cell_with_error(of_a, 0, workload.c_str()));
    b.push_back(cell_with_error(of_b, 0, workload.c_str()));
  }
  std::vector<CellPair> pairs;
  for (std::size_t i = 0; i < a.size(); ++i) pairs.push_back({{{&a[i]}}, {{&b[i]}}});
  const std::vector<QualityChange> changes = quality_changes(pairs, 0.05);
  EXPECT_EQ(changes.size(), 1U);
  return changes.at(0);
}

TEST(ChangeOf, IsNothingForTheSameResults) {
  const FidelityChange change = change_of(full_result(), full_result(), true);
  EXPECT_EQ(change.worse, Texts{});
  EXPECT_EQ(change.better, Texts{});
  EXPECT_FALSE(change.has_other_mask);
}

TEST(ChangeOf, NamesWhatIsWorseWithBothValues) {
  const CellResult a = cell_with_error(0.02);
  CellResult b = cell_with_error(0.03);
  b.fidelity->attention_recall = 0.75;
  b.oracle->quotient = 0.5;
  EXPECT_EQ(change_of(a, b, true).worse,
            (Texts{"rel L2 error 0.0200 -> 0.0300", "recall 0.875 -> 0.750",
                   "oracle error over its allowance 0.0625 -> 0.500"}));
  EXPECT_EQ(change_of(b, a, true).better.size(), 3U);
  EXPECT_TRUE(change_of(b, a, true).worse.empty());
  EXPECT_EQ(change_of(a, b, false).worse,
            (Texts{"oracle error over its allowance 0.0625 -> 0.500"}));
}

TEST(ChangeOf, PassesOverWhatRoundingMakes) {
  EXPECT_FALSE(change_of(cell_with_error(0.02), cell_with_error(0.0201), true).is_worse());
  EXPECT_FALSE(change_of(cell_with_error(1e-7), cell_with_error(9e-7), true).is_worse());
  EXPECT_TRUE(change_of(cell_with_error(0), cell_with_error(1e-4), true).is_worse());
}

TEST(ChangeOf, SaysThatACellFails) {
  CellResult failed = cell_with_error(0.02);
  failed.status = CellStatus::kFailed;
  failed.reason = "oracle error";
  EXPECT_EQ(change_of(cell_with_error(0.02), failed, true).worse, Texts{"failed: oracle error"});
  EXPECT_EQ(change_of(failed, cell_with_error(0.02), true).better, Texts{"failed no more"});
  EXPECT_FALSE(change_of(failed, failed, true).is_worse());
}

TEST(ChangeOf, SaysThatTheMaskIsAnother) {
  CellResult other = cell_with_error(0.02);
  other.counts->active_entries += 1;
  EXPECT_TRUE(change_of(cell_with_error(0.02), other, true).has_other_mask);
}

TEST(QualityChanges, PairTheWindowsOfAPipeline) {
  // The windows differ by far more than the builds.
  const QualityChange worse =
      quality_of({{0.01, 0.0103}, {0.5, 0.516}, {0.03, 0.0311}, {0.2, 0.207}});
  EXPECT_TRUE(worse.is_worse);
  EXPECT_EQ(worse.windows, 4U);
  EXPECT_NEAR(worse.ratio.ratio(), 1.034, 0.002);
  EXPECT_TRUE(quality_of({{0.0103, 0.01}, {0.516, 0.5}, {0.0311, 0.03}}).is_better);
}

TEST(QualityChanges, AreNeitherWhereWindowsDisagreeOrTheMeanIsSmall) {
  const QualityChange mixed = quality_of({{0.01, 0.02}, {0.02, 0.01}, {0.3, 0.31}});
  EXPECT_FALSE(mixed.is_worse || mixed.is_better);
  const QualityChange small = quality_of({{0.1, 0.1005}, {0.2, 0.201}, {0.3, 0.3015}});
  EXPECT_LT(small.adjusted_probability, 0.05);
  EXPECT_FALSE(small.is_worse);
}

TEST(RandomPairs, AreThoseWhoseErrorDependsOnTheSeed) {
  const std::vector<CellResult> cells = {cell_with_error(0.1, 0), cell_with_error(0.2, 1),
                                         cell_with_error(0.1, 0, "v"),
                                         cell_with_error(0.1, 1, "v")};
  std::vector<CellPair> pairs;
  for (const CellResult& cell : cells) pairs.push_back({{{&cell}}, {{&cell}}});
  EXPECT_EQ(random_pairs(pairs), (std::vector<bool>{true, true, false, false}));
}

}  // namespace
}  // namespace maskerade::compare
