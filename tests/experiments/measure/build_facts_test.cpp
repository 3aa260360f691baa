#include "experiments/measure/build_facts.hpp"

#include <gtest/gtest.h>

#include <string>

namespace maskerade {
namespace {

TEST(BuildFacts, NameACommitAndTheStateOfItsTree) {
  const BuildFacts& facts = build_facts();
  const bool is_known = facts.commit != "unknown";
  if (is_known) {
    EXPECT_EQ(facts.commit.size(), 40U);
    EXPECT_EQ(facts.commit.find_first_not_of("0123456789abcdef"), std::string::npos);
  }
  EXPECT_EQ(facts.tree_state != "unknown", is_known);
  EXPECT_TRUE(facts.tree_state == "clean" || facts.tree_state == "changed" || !is_known);
}

TEST(BuildFacts, NameTheCompilerOfThisTest) {
#if defined(__clang__)
  const std::string compiler = "Clang " + std::to_string(__clang_major__) + ".";
#else
  const std::string compiler = "GNU " + std::to_string(__GNUC__) + ".";
#endif
  EXPECT_TRUE(build_facts().compiler.starts_with(compiler)) << build_facts().compiler;
}

}  // namespace
}  // namespace maskerade
