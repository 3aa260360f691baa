#include "experiments/report/failures.hpp"

#include <gtest/gtest.h>

#include <string>

#include "tests/experiments/results/example_result.hpp"

namespace maskerade {
namespace {

CellResult failure(std::int64_t cell, const std::string& reason) {
  CellResult result = example_result();
  result.cell = cell;
  result.status = CellStatus::kFailed;
  result.reason = reason;
  return result;
}

TEST(Cause, IsTheReasonWithoutItsNumbers) {
  EXPECT_EQ(cause_of("differs by 0.0123 at batch 0, head 13, query 17, tolerance 1e-05"),
            cause_of("differs by 2 at batch 1, head 3, query 1024, tolerance 2.5e+3"));
  EXPECT_EQ(cause_of("at 0x7f00ab and -3"), "at # and #");
  EXPECT_EQ(cause_of("by 1.5, then 2. Then e5"), "by #, then #. Then e#");
  EXPECT_EQ(cause_of(""), "");
  EXPECT_NE(cause_of("the tiles kernel"), cause_of("the rows kernel"));
}

TEST(CommandText, QuotesWhatAShellWouldNotTakeAsItIs) {
  EXPECT_EQ(command_text({"maskerade", "run", "a b.yaml", "--set", "pipelines.p=[sink]", "--set",
                          "x=it's", "", "k=5%"}),
            "maskerade run 'a b.yaml' --set 'pipelines.p=[sink]' --set 'x=it'\\''s' '' k=5%");
}

TEST(Failures, AreGroupedByCauseWithTheCommandOfOneCell) {
  Failures failures;
  failures.add(failure(31, "p.so: no codebook"));
  failures.add(failure(12, "the tiles kernel differs by 0.5 at head 1"));
  failures.add(example_result());
  failures.add(failure(14, "the tiles kernel differs by 0.25 at head 3"));
  EXPECT_EQ(failures.text("maskerade run x.yaml --cell", {}),
            "3 failed, by cause:\n"
            "  2 (cells 12, 14): the tiles kernel differs by 0.5 at head 1\n"
            "      maskerade run x.yaml --cell 12\n"
            "  1 (cell 31): p.so: no codebook\n"
            "      maskerade run x.yaml --cell 31\n");
  EXPECT_EQ(failures.text("", {}),
            "3 failed, by cause:\n"
            "  2 (cells 12, 14): the tiles kernel differs by 0.5 at head 1\n"
            "  1 (cell 31): p.so: no codebook\n");
}

TEST(Failures, OfCellsWithoutANumberHaveNoCommand) {
  Failures failures;
  failures.add(failure(CellResult::kNoNumber, "no codebook"));
  EXPECT_EQ(failures.text("maskerade run x.yaml --cell", {}),
            "1 failed, by cause:\n  1 (cells without a number): no codebook\n");
}

TEST(Failures, OfNothingAreNothing) {
  Failures failures;
  failures.add(example_result());
  EXPECT_EQ(failures.text("maskerade run x.yaml --cell", {}), "");
}

}  // namespace
}  // namespace maskerade
