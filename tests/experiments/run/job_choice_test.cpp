#include "experiments/run/job_choice.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <cstdint>
#include <string>
#include <vector>

#include "framework/base/error.hpp"
#include "test_experiment.hpp"

namespace maskerade {
namespace {

// The jobs of `prefill` are dense, streaming, recent [3], topk budget=5% and topk budget=50%, with
// the numbers 0 to 4; those of `decode` the same without recent [3], with the numbers 5 to 8.
constexpr const char* kChoice = R"(
name: choice
workloads:
  prefill: {source: {kind: gaussian}, query_heads: 1, query_len: 8, key_len: 8, head_dim: 4}
  decode: {source: {kind: gaussian}, query_heads: 1, query_len: 1, key_len: 70, head_dim: 4}
pipelines:
  streaming: [{sink: 2}, {local: 3}]
  "recent [3]": {only: prefill, maskers: [{local: 3}]}
  topk: [{oracle_topk: {budget: {sweep: [5%, 50%]}}}]
)";

using Numbers = std::vector<std::int64_t>;

Numbers numbers_of(const std::vector<Job>& jobs) {
  Numbers numbers;
  for (const Job& job : jobs) numbers.push_back(static_cast<std::int64_t>(job.cell.number));
  return numbers;
}

class ChosenJobs : public testing::Test {
 protected:
  Numbers chosen(const JobChoice& choice) const {
    return numbers_of(choose_jobs(experiment_, jobs_, choice));
  }
  Numbers chosen_by(const std::string& pattern) const { return chosen({.pipelines = {pattern}}); }
  // The text of the ConfigError of a choice; "nothing was thrown" where it throws none.
  std::string error_of(const JobChoice& choice) const {
    try {
      chosen(choice);
    } catch (const ConfigError& error) {
      return error.what();
    }
    return "nothing was thrown";
  }

  Experiment experiment_ = experiment_of(kChoice);
  std::vector<Job> jobs_ = make_jobs(experiment_);
};

TEST_F(ChosenJobs, AreAllWithoutAChoice) {
  EXPECT_TRUE(JobChoice().is_whole());
  EXPECT_EQ(chosen({}), (Numbers{0, 1, 2, 3, 4, 5, 6, 7, 8}));
}

TEST_F(ChosenJobs, FitAPatternByNameOrLabelWithTheirDenseReferences) {
  EXPECT_FALSE(JobChoice{.pipelines = {"topk"}}.is_whole());
  EXPECT_EQ(chosen_by("streaming"), (Numbers{0, 1, 5, 6}));
  EXPECT_EQ(chosen_by("topk"), (Numbers{0, 3, 4, 5, 7, 8}));
  EXPECT_EQ(chosen_by("topk budget=5%"), (Numbers{0, 3, 5, 7}));
  EXPECT_EQ(chosen_by("top*=50%"), (Numbers{0, 4, 5, 8}));
  EXPECT_EQ(chosen_by("top?"), (Numbers{0, 3, 4, 5, 7, 8}));
  EXPECT_EQ(chosen_by("*"), chosen({}));
  // The whole name, not a part of it.
  EXPECT_EQ(error_of({.pipelines = {"top"}}),
            "--only top: no pipeline has such a name; there are: recent [3], streaming, topk");
}

TEST_F(ChosenJobs, BringNoReferenceOfAWorkloadThatTheyAreNotOf) {
  EXPECT_EQ(chosen_by("recent*"), (Numbers{0, 2}));
}

TEST_F(ChosenJobs, FitAnyOfSeveralPatterns) {
  EXPECT_EQ(chosen({.pipelines = {"recent*", "topk budget=5%"}}), (Numbers{0, 2, 3, 5, 7}));
  EXPECT_EQ(chosen({.pipelines = {"topk", "top*"}}), chosen_by("topk"));
  EXPECT_EQ(error_of({.pipelines = {"topk", "quest*"}}),
            "--only quest*: no pipeline has such a name; there are: recent [3], streaming, topk");
}

TEST_F(ChosenJobs, FitPatternsInWhichOtherCharactersStandForThemselves) {
  EXPECT_EQ(chosen_by("recent [3]"), (Numbers{0, 2}));
  EXPECT_EQ(chosen_by("recent [?]"), (Numbers{0, 2}));
  EXPECT_TRUE(error_of({.pipelines = {"top[k]"}}).starts_with("--only top[k]: no pipeline"));
  EXPECT_TRUE(error_of({.pipelines = {"to\\pk"}}).starts_with("--only to\\pk: no pipeline"));
}

TEST_F(ChosenJobs, AreThoseOfTheGivenNumbersInTheirOwnOrder) {
  EXPECT_FALSE(JobChoice{.cells = {0}}.is_whole());
  EXPECT_EQ(chosen({.cells = {7}}), (Numbers{7}));
  EXPECT_EQ(chosen({.cells = {8, 0, 3, 0}}), (Numbers{0, 3, 8}));
}

TEST_F(ChosenJobs, HaveNumbersThatAreThere) {
  EXPECT_EQ(error_of({.cells = {9}}),
            "--cell 9: there is no such cell; the experiment has the cells 0 to 8, which --dry-run "
            "lists");
  EXPECT_EQ(error_of({.cells = {3, -1}}),
            "--cell -1: there is no such cell; the experiment has the cells 0 to 8, which "
            "--dry-run lists");
}

TEST_F(ChosenJobs, FitBothAPatternAndANumber) {
  EXPECT_EQ(chosen({.pipelines = {"topk"}, .cells = {4, 5}}), (Numbers{4, 5}));
  EXPECT_EQ(error_of({.pipelines = {"streaming"}, .cells = {1, 7}}),
            "--cell 7: is not of a pipeline that --only names");
  EXPECT_EQ(error_of({.pipelines = {"streaming"}, .cells = {9}}),
            "--cell 9: there is no such cell; the experiment has the cells 0 to 8, which --dry-run "
            "lists");
}

TEST_F(ChosenJobs, AreSharedOutInRunsOfNeighbours) {
  const auto shard = [&](std::int64_t index, std::int64_t count) {
    return chosen({.shard = Shard{.index = index, .count = count}});
  };
  EXPECT_TRUE((JobChoice{.shard = Shard{}}.is_whole()));
  EXPECT_EQ(shard(1, 1), chosen({}));
  EXPECT_EQ(shard(1, 2), (Numbers{0, 1, 2, 3, 4}));
  EXPECT_EQ(shard(2, 2), (Numbers{5, 6, 7, 8}));
  EXPECT_EQ(shard(9, 9), (Numbers{8}));
  // More parts than jobs: the last ones have nothing to do.
  EXPECT_EQ(shard(9, 12), (Numbers{8}));
  EXPECT_EQ(shard(10, 12), Numbers());
  EXPECT_EQ(shard(1'000'000, 1'000'000), Numbers());
}

TEST_F(ChosenJobs, AreSharedOutOfThoseThatAreChosenOtherwise) {
  const auto shard = [&](std::int64_t index) {
    return chosen({.pipelines = {"topk"}, .shard = Shard{.index = index, .count = 2}});
  };
  EXPECT_EQ(shard(1), (Numbers{0, 3, 4}));
  EXPECT_EQ(shard(2), (Numbers{5, 7, 8}));
}

RC_GTEST_FIXTURE_PROP(ChosenJobs, AreInExactlyOneShardOfNearlyEqualSize, ()) {
  const auto jobs = *rc::gen::inRange<std::size_t>(0, 200);
  const auto count = *rc::gen::inRange<std::int64_t>(1, 300);
  std::vector<Job> some(jobs);
  for (std::size_t i = 0; i < jobs; ++i) some[i].cell.number = i;
  Numbers together;
  for (std::int64_t index = 1; index <= count; ++index) {
    const std::vector<Job> part =
        choose_jobs(experiment_, some, {.shard = Shard{.index = index, .count = count}});
    const auto least = jobs / static_cast<std::size_t>(count);
    RC_ASSERT(part.size() == least || part.size() == least + 1);
    for (const std::int64_t number : numbers_of(part)) together.push_back(number);
  }
  RC_ASSERT(together == numbers_of(some));
}

TEST(ParsedShard, HasAnIndexFromOneAndACount) {
  const auto text = [](const std::string& shard) {
    const Shard parsed = parse_shard(shard);
    return std::to_string(parsed.index) + " of " + std::to_string(parsed.count);
  };
  EXPECT_EQ(text("1/1"), "1 of 1");
  EXPECT_EQ(text("2/8"), "2 of 8");
  EXPECT_EQ(text("8/8"), "8 of 8");
  EXPECT_EQ(text("1000000/1000000"), "1000000 of 1000000");
}

class BadShard : public testing::TestWithParam<const char*> {};

TEST_P(BadShard, IsRefused) {
  const std::string text = GetParam();
  try {
    parse_shard(text);
    FAIL() << "accepted";
  } catch (const ConfigError& error) {
    EXPECT_EQ(std::string(error.what()),
              "--shard " + text +
                  ": give the number of a part, from 1, and how many parts there are, for example "
                  "--shard 2/8");
  }
}

INSTANTIATE_TEST_SUITE_P(Texts,
                         BadShard,
                         testing::Values("",
                                         "/",
                                         "1",
                                         "1/",
                                         "/2",
                                         "0/2",
                                         "3/2",
                                         "-1/2",
                                         "1/-2",
                                         "1/0",
                                         "0/0",
                                         "+1/2",
                                         " 1/2",
                                         "1/2 ",
                                         "1 /2",
                                         "1/2/3",
                                         "1/2x",
                                         "a/b",
                                         "1.5/2",
                                         "1:2",
                                         "0x1/2",
                                         "1/1000001",
                                         "99999999999999999999/2",
                                         "1/99999999999999999999"));

}  // namespace
}  // namespace maskerade
