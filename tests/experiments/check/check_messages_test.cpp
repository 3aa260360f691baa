#include "experiments/check/check_messages.hpp"

#include <gtest/gtest.h>

#include "framework/base/error.hpp"

namespace maskerade::check {
namespace {

TEST(CheckMessages, OptionsArrive) {
  const CheckOptions sent{.library = "x/my_band.so",
                          .seed = 7,
                          .cells = 3,
                          .given = {.parameters = {{.name = "file", .values = {"a", "b"}}},
                                    .shape = AttentionShape{1, 4, 2, 5, 6, 8},
                                    .layer = 2},
                          .folder = "out",
                          .other_maskers = {{"sink", "/x/sink.so"}},
                          .deadly = {"{my_band: {width: 0}}"}};
  const CheckOptions got = options_of(message_of(sent));
  EXPECT_EQ(got.library, sent.library);
  EXPECT_EQ(got.seed, 7U);
  EXPECT_EQ(got.cells, 3);
  ASSERT_EQ(got.given.parameters.size(), 1U);
  EXPECT_EQ(got.given.parameters.front().name, "file");
  EXPECT_EQ(got.given.parameters.front().values, sent.given.parameters.front().values);
  EXPECT_EQ(got.given.shape, sent.given.shape);
  EXPECT_EQ(got.given.layer, 2);
  EXPECT_EQ(got.folder, "out");
  EXPECT_EQ(got.other_maskers, sent.other_maskers);
  EXPECT_EQ(got.deadly, sent.deadly);
  EXPECT_EQ(options_of(message_of(CheckOptions{})).given.shape, std::nullopt);
}

TEST(CheckMessages, AnswersArriveAsTextsThatCanBeShown) {
  const OpenedLibrary opened =
      opened_of(message_of(OpenedLibrary{.failure = "caf\xe9",
                                         .load_ms = 1.5,
                                         .title = "my_band",
                                         .questions = {{.asked = "errors", .rule = "a rule"}}}));
  EXPECT_EQ(opened.failure, "caf\xef\xbf\xbd");
  EXPECT_EQ(opened.load_ms, 1.5);
  EXPECT_EQ(opened.title, "my_band");
  ASSERT_EQ(opened.questions.size(), 1U);
  EXPECT_EQ(opened.questions.front().asked, "errors");
  EXPECT_EQ(opened.questions.front().rule, "a rule");
  const CheckStep step = step_of(message_of(CheckStep{
      .is_done = true,
      .verdict = {
          .asked = "errors", .finding = {VerdictKind::kFailed, "it threw"}, .rule = "a rule"}}));
  EXPECT_TRUE(step.is_done);
  EXPECT_EQ(step.verdict.finding.kind, VerdictKind::kFailed);
  EXPECT_EQ(step.verdict.finding.reason, "it threw");
  EXPECT_EQ(step_of(message_of(CheckStep{.about_to = "cell 3"})).about_to, "cell 3");
}

TEST(CheckMessages, OtherBytesAreAnError) {
  EXPECT_THROW(step_of("no message"), Error);
  EXPECT_THROW(options_of(message_of(CheckStep{})), Error);
}

}  // namespace
}  // namespace maskerade::check
