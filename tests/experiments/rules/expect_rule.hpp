// How tests ask rules: EXPECT_TRUE(holds(check_...(...))), and of a planted violation
// EXPECT_TRUE(finds(check_...(...), "the rule")).
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "experiments/rules/violation.hpp"

namespace maskerade::rules {

// That no violation was found; shows those that were, one a line.
inline testing::AssertionResult holds(const Violations& violations) {
  if (violations.empty()) return testing::AssertionSuccess();
  testing::AssertionResult failure = testing::AssertionFailure();
  for (const Violation& violation : violations) failure << "\n  " << violation;
  return failure;
}

// That a violation of the rule was found; shows those that were.
inline testing::AssertionResult finds(const Violations& violations, const std::string& rule) {
  const bool found = std::any_of(violations.begin(), violations.end(),
                                 [&](const Violation& v) { return v.rule == rule; });
  if (found) return testing::AssertionSuccess();
  return testing::AssertionFailure()
         << "no violation of \"" << rule << "\" among " << violations.size() << " violations"
         << holds(violations).message();
}

}  // namespace maskerade::rules
