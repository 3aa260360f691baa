// Libraries that break one rule get one failing verdict, those of the project and of older ABIs
// none.
#include <gtest/gtest.h>

#include <ostream>
#include <set>

#include "experiments/check/heap_growth.hpp"
#include "framework/base/error.hpp"
#include "tests/experiments/check/check_for_test.hpp"

namespace maskerade::check {
namespace {

const std::filesystem::path kOwn = MASKERADE_CHECK_PLUGINS;
const std::filesystem::path kOfStress = MASKERADE_STRESS_PLUGINS;
const std::filesystem::path kArchived = MASKERADE_ARCHIVED_PLUGINS;
const std::filesystem::path kBuiltIn = MASKERADE_BUILT_IN_PLUGINS;

using Asked = std::vector<std::string>;

struct WrongLibrary {
  const char* masker;
  std::filesystem::path folder;
  const char* asked;   // the question that fails
  const char* reason;  // a part of it
};
void PrintTo(const WrongLibrary& wrong, std::ostream* stream) { *stream << wrong.masker; }

class Wrong : public testing::TestWithParam<WrongLibrary> {};

TEST_P(Wrong, GetsTheOneVerdict) {
  // Where memory cannot be counted, a leak would be this program's.
  if (std::string(GetParam().masker) == "leaky" && !heap_bytes_in_use()) GTEST_SKIP();
  const auto verdicts = check(GetParam().folder / (std::string(GetParam().masker) + ".so"), 12);
  EXPECT_EQ(asked_with(VerdictKind::kFailed, verdicts), Asked{GetParam().asked})
      << to_text(verdicts, 136, false);
  const Verdict verdict = verdict_about(GetParam().asked, verdicts);
  EXPECT_NE(verdict.finding.reason.find(GetParam().reason), std::string::npos)
      << verdict.finding.reason;
  EXPECT_NE(verdict.rule, "");
}

INSTANTIATE_TEST_SUITE_P(
    Libraries,
    Wrong,
    testing::Values(WrongLibrary{"head_peeker", kOfStress, "undeclared inputs",
                                 "add MASKERADE_DEPENDS_HEAD to depends_on"},
                    WrongLibrary{"first_of_call", kOfStress, "threads and chunks",
                                 "again: maskerade stress --seed 1 --cell "},
                    WrongLibrary{"stale_index", kOfStress, "index: splits", "is appending at once"},
                    WrongLibrary{"deaf_index", kOwn, "index: append",
                                 "appending from 64 keys on is building at once"},
                    WrongLibrary{"leaky", kOwn, "memory: selections", " a round"},
                    WrongLibrary{"throwing_rows", kOwn, "errors",
                                 "it threw an exception (too many keys)"}),
    [](const auto& with) { return std::string(with.param.masker); });

TEST(OlderAbi, IsNamedAndAskedTheSame) {
  for (const char* version : {"1_0", "1_1", "1_2", "1_3"}) {
    for (const char* masker : {"rows_", "pages_"}) {
      const auto verdicts = check(kArchived / (std::string(masker) + version + ".so"), 3);
      EXPECT_EQ(asked_with(VerdictKind::kFailed, verdicts), Asked())
          << to_text(verdicts, 136, false);
      const std::string said = verdict_about("ABI version", verdicts).finding.reason;
      EXPECT_TRUE(said.starts_with(std::string("built for ABI 1.") + version[2])) << said;
      // Of the plugins of 1.3 only the one with pages says how it was built.
      const bool says = version[2] == '3' && *masker == 'p';
      EXPECT_EQ(verdict_about("optimisation", verdicts).finding.kind != VerdictKind::kNotAsked,
                says)
          << masker << version;
    }
  }
}

// archived_pages.c counts its work once a call.
TEST(WorkCounts, ThatDependOnChunksAreAWarning) {
  const auto verdicts = check(kArchived / "pages_1_3.so", 12);
  EXPECT_EQ(asked_with(VerdictKind::kWarning, verdicts), Asked{"work counts"});
}

TEST(Templates, HaveNoFailureAndNoWarning) {
  for (const char* masker :
       {"my_block_masker", "my_candidate_masker", "my_score_masker", "my_whole_masker"}) {
    const auto verdicts = check(kOwn / (std::string(masker) + ".so"), 2);
    EXPECT_EQ(asked_with(VerdictKind::kFailed, verdicts), Asked()) << masker;
    for (const std::string& warning : asked_with(VerdictKind::kWarning, verdicts)) {
      // So few cells may not show an influence; a build of these tests may be one without -O.
      EXPECT_TRUE(warning == "declared inputs" || warning == "optimisation") << masker << warning;
    }
  }
}

// Under sanitizers, which take ten times as long, a few of them.
TEST(BuiltIn, HaveNoFailure) {
  const std::set<std::string> few = {"sink", "strided", "recent_topk", "quest", "random_sampling"};
  std::size_t libraries = 0;
  for (const auto& file : std::filesystem::directory_iterator(kBuiltIn)) {
    if (file.path().extension() != ".so") continue;
    if (!heap_bytes_in_use() && !few.contains(file.path().stem().string())) continue;
    const auto verdicts = check(file.path(), 1);
    EXPECT_EQ(asked_with(VerdictKind::kFailed, verdicts), Asked()) << file.path() << "\n"
                                                                   << to_text(verdicts, 136, false);
    ++libraries;
  }
  EXPECT_GE(libraries, few.size());
}

TEST(AMaskerThatNeedsAFile, IsAskedForItsTableAlone) {
  const auto verdicts = check(kBuiltIn / "hash_attention.so", 2);
  const Verdict selections = verdict_about("selections", verdicts);
  EXPECT_EQ(selections.finding.kind, VerdictKind::kNotAsked);
  EXPECT_TRUE(selections.finding.reason.starts_with("\"file\" has no default: "))
      << selections.finding.reason;
  EXPECT_EQ(verdict_about("parameter file", verdicts).finding.reason,
            "refuses /no/such/file; no value is tried, since \"file\" has no default");
}

TEST(AMaskerThatNeedsAFile, IsAskedForAllWhereItIsGiven) {
  const stress::GivenOfCells given = {
      .parameters = {{.name = "file", .values = {MASKERADE_WEIGHTS "/hash_planes.safetensors"}}},
      .shape = AttentionShape{1, 12, 12, 4, 20, 32},
      .layer = 1};
  const auto verdicts = check(kBuiltIn / "hash_attention.so", 1, given);
  EXPECT_EQ(asked_with(VerdictKind::kFailed, verdicts), Asked()) << to_text(verdicts, 136, false);
  EXPECT_EQ(verdict_about("parameter activation", verdicts).finding.reason,
            "selects with relu, silu, gelu, tanh; refuses no_such_choice");
  EXPECT_EQ(verdict_about("drawn cells", verdicts).finding.reason, "1 of 1 cell drawn");
  EXPECT_EQ(verdict_about("index: append", verdicts).finding.kind, VerdictKind::kOk);
}

TEST(WhatIsGiven, IsRefusedWhereTheTableDoesNotTakeIt) {
  const auto refusal_of = [](const GivenParameter& given) -> std::string {
    try {
      check(kBuiltIn / "sink.so", 1, {.parameters = {given}});
    } catch (const ParameterError& error) {
      return error.what();
    }
    return "";
  };
  EXPECT_EQ(refusal_of({.name = "token", .values = {"3"}}),
            "\"sink\" has no parameter \"token\"; did you mean \"tokens\"?");
  EXPECT_EQ(refusal_of({.name = "tokens", .values = {"-1"}}), "\"tokens\" is -1; it must be >= 0");
}

TEST(Parameters, AreTriedAtTheirBoundsAndBeyond) {
  const auto verdicts = check(kBuiltIn / "quest.so", 1);
  EXPECT_EQ(verdict_about("parameter label_bits", verdicts).finding.reason,
            "selects with 1, 16; refuses 0, 17, many, 0.5");
  EXPECT_EQ(verdict_about("parameter counts", verdicts).finding.reason,
            "selects with extra, total; refuses no_such_choice");
  EXPECT_EQ(verdict_about("parameter min_pages", verdicts).rule,
            "masker_abi.h: maskerade_parameter: blocks, >= 0");
  EXPECT_EQ(verdict_about("declared inputs", verdicts).asked, "declared inputs");
}

// A bound that another parameter's default forbids is no fault: block 1 needs a stride of 1.
TEST(Parameters, AreTriedBesideOtherValuesOfTheOthers) {
  const auto verdicts = check(kBuiltIn / "xattention.so", 1);
  EXPECT_EQ(verdict_about("parameter block", verdicts).finding.kind, VerdictKind::kOk);
  EXPECT_EQ(verdict_about("parameter stride", verdicts).finding.kind, VerdictKind::kOk);
}

TEST(Id, OfAnotherMaskerFails) {
  Catalog catalog;
  catalog.load(kOwn / "leaky.so");
  MaskerInHand masker(catalog.types().front(),
                      {.library = "leaky.so", .other_maskers = {{"leaky", "/x/leaky.so"}}}, {});
  for (const Question& question : questions_about(masker, {})) {
    if (question.asked != "id") continue;
    const Verdict verdict = answer_of(question, masker);
    EXPECT_EQ(verdict.finding.kind, VerdictKind::kFailed);
    EXPECT_EQ(verdict.finding.reason,
              "\"leaky\" is the id of /x/leaky.so, too; no program loads both, so rename one");
  }
}

TEST(Loading, ThatLeavesSomethingBehindFails) {
  Catalog catalog;
  catalog.load(kOwn / "leaky.so");
  MaskerInHand masker(catalog.types().front(), {.library = "leaky.so"}, {});
  const Question first =
      questions_about(masker, {.load_ms = 1, .on_process = "a handler of SIGINT"}).front();
  EXPECT_EQ(first.asked, "loading");
  EXPECT_EQ(answer_of(first, masker).finding.kind, VerdictKind::kFailed);
}

}  // namespace
}  // namespace maskerade::check
