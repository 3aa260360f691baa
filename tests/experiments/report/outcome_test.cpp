#include "experiments/report/outcome.hpp"

#include <gtest/gtest.h>

#include "tests/experiments/results/example_result.hpp"

namespace maskerade {
namespace {

CellResult precise_result() {
  CellResult result = example_result();
  result.measure_target = 1;
  return result;
}

CellResult searched_result(MatchStatus status) {
  CellResult result = matched_result();
  result.measure_target = 1;
  result.match->found->status = status;
  return result;
}

CellResult ended(CellStatus status) {
  CellResult result = example_result();
  result.status = status;
  return result;
}

TEST(Outcome, OfAMissedTargetIsNeverOk) {
  EXPECT_EQ(outcome_of(precise_result()), CellOutcome::kOk);
  EXPECT_EQ(outcome_of(searched_result(MatchStatus::kMatched)), CellOutcome::kOk);
  EXPECT_EQ(outcome_of(searched_result(MatchStatus::kNearest)), CellOutcome::kNotMatched);
  EXPECT_EQ(outcome_of(searched_result(MatchStatus::kUnreachable)), CellOutcome::kUnreachable);
  EXPECT_EQ(outcome_of(ended(CellStatus::kFailed)), CellOutcome::kFailed);
  EXPECT_EQ(outcome_of(ended(CellStatus::kUnavailable)), CellOutcome::kUnavailable);
}

TEST(Outcome, SaysWhatIsNoisyToo) {
  EXPECT_EQ(outcome_text(precise_result()), "ok");
  EXPECT_EQ(outcome_text(example_result()), "noisy");
  CellResult missed = searched_result(MatchStatus::kNearest);
  EXPECT_EQ(outcome_text(missed), "not matched");
  missed.measure_target = 0.01;
  EXPECT_EQ(outcome_text(missed), "not matched, noisy");
  EXPECT_EQ(outcome_text(ended(CellStatus::kFailed)), "failed") << "whatever its times are";
}

TEST(OutcomeCounts, EndTheReport) {
  OutcomeCounts counts;
  EXPECT_EQ(counts.text(0),
            "0 cells: 0 ok, 0 failed, 0 not matched, 0 unreachable, 0 unavailable, 0 not run");
  CellResult noisy_miss = searched_result(MatchStatus::kNearest);
  noisy_miss.measure_target = 0.01;
  for (const CellResult& result :
       {precise_result(), precise_result(), example_result(), noisy_miss,
        searched_result(MatchStatus::kNearest), searched_result(MatchStatus::kUnreachable),
        ended(CellStatus::kFailed), ended(CellStatus::kUnavailable)}) {
    counts.add(result);
  }
  EXPECT_EQ(counts.cells(), 8U);
  EXPECT_EQ(counts.noisy(), 2U);
  EXPECT_EQ(counts.of(CellOutcome::kOk), 3U);
  EXPECT_EQ(counts.text(4),
            "12 cells: 3 ok (1 noisy), 1 failed, 2 not matched (1 noisy), 1 unreachable, 1 "
            "unavailable, 4 not run");
}

}  // namespace
}  // namespace maskerade
