#include "experiments/check/verdict.hpp"

#include <gtest/gtest.h>

namespace maskerade::check {
namespace {

const std::vector<Verdict> kVerdicts = {
    {.asked = "errors",
     .finding = {VerdictKind::kOk, "none failed"},
     .rule = "masker_abi.h: rules"},
    {.asked = "budget", .finding = {VerdictKind::kNotAsked, "it has none"}, .rule = "masker.hpp"},
    {.asked = "index: splits",
     .finding = {VerdictKind::kFailed, "12 of 40 cells: \x1b appending by 1 is not the same"},
     .rule = "masker_abi.h: append"}};

TEST(Verdicts, AreALineEachBrokenAtTheWidth) {
  EXPECT_EQ(to_text(kVerdicts, 72, false),
            "  ok        errors         none failed · masker_abi.h: rules\n"
            "  not asked budget         it has none · masker.hpp\n"
            "  FAILED    index: splits  12 of 40 cells: \\x1b appending by 1 is not\n"
            "                           the same · masker_abi.h: append\n");
}

TEST(Verdicts, AreCounted) {
  EXPECT_EQ(totals_text(kVerdicts), "3 verdicts: 1 ok, 0 warning, 1 FAILED, 1 not asked");
  EXPECT_EQ(count_of(kVerdicts, VerdictKind::kWarning), 0U);
}

}  // namespace
}  // namespace maskerade::check
