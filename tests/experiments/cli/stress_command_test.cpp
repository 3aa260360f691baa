// `maskerade stress` as a user types it.
#include "tests/experiments/cli/program_for_test.hpp"

namespace maskerade {
namespace {

using StressCommand = Program;

const std::string kWithOverBudget = std::string(" --plugin ") + MASKERADE_OVER_BUDGET;

TEST_F(StressCommand, EndsWithATableAndItsTotals) {
  const ProgramResult result = run("stress --maskers sink,oracle_topk --cells 4 --seed 3");
  EXPECT_EQ(result.exit_code, 0) << result.out << result.err;
  EXPECT_TRUE(
      std::regex_search(result.out, std::regex("masker +survives +visible +previous +repeats")))
      << result.out;
  EXPECT_TRUE(std::regex_search(
      result.out,
      std::regex("\n4 cells, [0-9]+ checks, [0-9]+ draws refused, 0 failures, [0-9.]+ s\n$")))
      << result.out;
  EXPECT_EQ(result.err, "");
}

TEST_F(StressCommand, WritesWhatFailsAndDrawsItAgain) {
  const std::string arguments = "stress --maskers over_budget" + kWithOverBudget + " --seed 4 ";
  const ProgramResult result = run(arguments + "--cells 6 --out found");
  EXPECT_EQ(result.exit_code, 1) << result.out << result.err;
  std::smatch number;
  ASSERT_TRUE(std::regex_search(
      result.out, number,
      std::regex("FAILED cell ([0-9]+): masker \"over_budget\" breaks \"budget\"")))
      << result.out;
  const std::string stem = "stress-4-" + number[1].str();
  EXPECT_NE(result.out.find("written to found/" + stem + ".yaml"), std::string::npos) << result.out;
  // The file is an experiment, and the cell alone fails as before.
  EXPECT_EQ(run("run found/" + stem + ".yaml" + kWithOverBudget + " --dry-run").exit_code, 0);
  const ProgramResult again = run(arguments + "--cell " + number[1].str() + " --out again");
  EXPECT_EQ(again.exit_code, 1) << again.out << again.err;
  EXPECT_NE(read("again/" + stem + ".yaml"), "");
  EXPECT_EQ(read("again/" + stem + ".yaml"), read("found/" + stem + ".yaml"));
}

// Some cells of this masker end their process; the others are checked all the same.
TEST_F(StressCommand, AMaskerThatEndsItsProcessIsOneFailure) {
  const ProgramResult result =
      run(std::string("stress --maskers deadly --plugin ") + MASKERADE_DEADLY +
          " --cells 4 --cell-timeout 500ms --shrink-time 1ms --workers 1 --seed 10");
  EXPECT_EQ(result.exit_code, 1) << result.out << result.err;
  EXPECT_TRUE(std::regex_search(
      result.out, std::regex("FAILED cell [0-9]+: masker \"deadly\" breaks \"survives\"")))
      << result.out;
  EXPECT_NE(result.out.find("in masker \"deadly\""), std::string::npos) << result.out;
  EXPECT_TRUE(std::regex_search(result.out, std::regex("\n4 cells, "))) << result.out;
}

TEST_F(StressCommand, ChecksThePublishedSuites) {
  const ProgramResult result = run("stress --suite published --maskers oracle_topk");
  EXPECT_EQ(result.exit_code, 0) << result.out << result.err;
  for (const char* suite : {"empty previous", "partial previous", "causal", "grouped queries",
                            "random previous", "large batch", "combined", "edge"}) {
    EXPECT_NE(result.out.find(suite), std::string::npos) << suite << "\n" << result.out;
  }
  EXPECT_NE(result.out.find("\n31 cells, "), std::string::npos) << result.out;
}

TEST_F(StressCommand, BadCommandLinesSayWhatWouldBeRight) {
  ProgramResult result = run("stress --maskers sinks --cells 1");
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_TRUE(
      result.err.starts_with("maskerade: error: there is no masker \"sinks\"; did you mean"))
      << result.err;
  result = run("stress --time 60");
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_EQ(result.err,
            "maskerade: error: --time 60: give a time above 0 with its unit, such as 60s or "
            "500ms\n");
  EXPECT_EQ(run("stress --cells 0").exit_code, 2);
  EXPECT_EQ(run("stress --suite others").exit_code, 2);
  result = run("stress --devices gpu");
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_NE(result.err.find("gpu"), std::string::npos) << result.err;
  EXPECT_EQ(run("stress --maskers hash_attention").exit_code, 2);
}

TEST_F(StressCommand, NamesTheMaskersThatItLeavesOut) {
  const ProgramResult result = run("stress --maskers sink,hash_attention --cells 1");
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_NE(result.out.find("left out: hash_attention: \"file\" has no default"), std::string::npos)
      << result.out;
}

TEST_F(StressCommand, GivesMaskersTheFilesThatTheyNeed) {
  const ProgramResult result =
      run("stress --maskers hash_attention --cells 1 --workers 1 --shape 1,12,12,4,20,32 --layer 1 "
          "--set file=" EXPERIMENTS_FOLDER "/data/weights/hash_planes.safetensors");
  EXPECT_EQ(result.exit_code, 0) << result.out << result.err;
  EXPECT_NE(result.out.find("\n1 cell, 10 checks, "), std::string::npos) << result.out;
}

TEST_F(StressCommand, BeginsNoCellAfterItsTime) {
  const ProgramResult result = run("stress --maskers sink --time 1ms");
  EXPECT_EQ(result.exit_code, 0) << result.out << result.err;
  EXPECT_NE(result.out.find(" 0 failures, "), std::string::npos);
}

}  // namespace
}  // namespace maskerade
