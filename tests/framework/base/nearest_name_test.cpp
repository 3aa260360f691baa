#include "framework/base/nearest_name.hpp"

#include <gtest/gtest.h>

namespace maskerade {
namespace {

const std::vector<std::string> kKnown = {"sink", "local", "oracle_topk", "window"};

TEST(NearestName, FindsANameFewEditsAway) {
  EXPECT_EQ(nearest_name("windw", kKnown), "window");
  EXPECT_EQ(nearest_name("oracle_top_k", kKnown), "oracle_topk");
  EXPECT_EQ(nearest_name("sink", kKnown), "sink");
  EXPECT_EQ(nearest_name("sin", kKnown), "sink");
}

TEST(NearestName, FindsNothingFarAway) {
  EXPECT_EQ(nearest_name("quantum", kKnown), "");
  EXPECT_EQ(nearest_name("s", kKnown), "");
  EXPECT_EQ(nearest_name("sink", {}), "");
  EXPECT_EQ(nearest_name("", kKnown), "");
}

TEST(NameHint, SuggestsOrLists) {
  EXPECT_EQ(name_hint("locl", kKnown), "; did you mean \"local\"?");
  EXPECT_EQ(name_hint("quantum", kKnown), "; known: sink, local, oracle_topk, window");
  EXPECT_EQ(name_hint("quantum", {}), "");
}

}  // namespace
}  // namespace maskerade
