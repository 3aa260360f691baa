#include "experiments/rules/violation.hpp"

#include <gtest/gtest.h>

#include <sstream>

namespace maskerade::rules {
namespace {

TEST(Violation, SaysRulePlaceAndFinding) {
  const Violation violation{"the previous mask is kept",
                            {.batch = 0, .head = 3, .query = 17, .key = 5},
                            "the probability was 1 before and is 0 now"};
  std::ostringstream text;
  text << violation;
  EXPECT_EQ(text.str(),
            "the previous mask is kept: at batch 0, head 3, query 17, key 5: the probability was 1 "
            "before and is 0 now");
}

TEST(Violation, LeavesOutWhatIsNotKnownOfItsPlace) {
  EXPECT_EQ(to_string(Violation{"rule", {.head = 2}, "finding"}), "rule: at head 2: finding");
  EXPECT_EQ(to_string(Violation{"rule", {}, "finding"}), "rule: finding");
}

TEST(ViolationList, KeepsTheFirstOnesAndCountsTheOthers) {
  ViolationList list("rule");
  EXPECT_TRUE(list.violations().empty());
  for (std::int64_t query = 0; query < 20; ++query) list.add({.query = query}, "wrong");
  const Violations violations = list.violations();
  ASSERT_EQ(violations.size(), kMostViolations + 1);
  EXPECT_EQ(violations.front(), (Violation{"rule", {.query = 0}, "wrong"}));
  EXPECT_EQ(violations.back(), (Violation{"rule", {}, "12 more"}));
}

}  // namespace
}  // namespace maskerade::rules
