#include "experiments/report/progress.hpp"

#include <gtest/gtest.h>

#include <cstdio>
#include <filesystem>
#include <string>

#include "tests/experiments/results/example_result.hpp"

namespace maskerade {
namespace {

// What a function writes to a stream.
template <typename Write>
std::string written_by(Write&& write) {
  std::FILE* file = std::tmpfile();
  write(file);
  std::rewind(file);
  std::string text;
  for (int c = std::fgetc(file); c != EOF; c = std::fgetc(file)) text += static_cast<char>(c);
  std::fclose(file);
  return text;
}

TEST(Progress, WritesALineForEachCellWhenPiped) {
  const std::string text = written_by([](std::FILE* file) {
    Progress progress(file, false, 2);
    CellResult result = example_result();
    progress.begin(result);
    progress.finish(result);
    result.status = CellStatus::kUnavailable;
    result.device = "cuda";
    result.reason = "this build has no CUDA backend";
    result.times.reset();
    progress.begin(result);
    progress.finish(result);
    progress.clear();
  });
  EXPECT_EQ(text,
            "[1/2] prefill: topk budget=5%: noisy, total 25.0 ms, 4.00x dense\n"
            "[2/2] prefill: topk budget=5% (cuda): unavailable: this build has no CUDA backend\n");
}

TEST(Progress, KeepsForeignTextsOnTheirLine) {
  const std::string text = written_by([](std::FILE* file) {
    Progress progress(file, false, 1);
    CellResult result = example_result();
    result.status = CellStatus::kFailed;
    result.times.reset();
    result.reason = "the plugin says: \x1b[2J\n[1/1] all: ok\xe9";
    progress.begin(result);
    progress.finish(result);
  });
  EXPECT_EQ(text,
            "[1/1] prefill: topk budget=5%: failed: the plugin says: \\x1b[2J\\x0a[1/1] all: "
            "ok\\xe9\n");
}

TEST(Progress, GoesOnWhereTheStreamTakesNothing) {
  if (!std::filesystem::exists("/dev/full")) GTEST_SKIP() << "there is no /dev/full";
  for (const bool is_terminal : {false, true}) {
    std::FILE* file = std::fopen("/dev/full", "w");
    ASSERT_NE(file, nullptr);
    Progress progress(file, is_terminal, 2);
    progress.begin(example_result());
    progress.keep(example_result());
    progress.begin(example_result());
    progress.finish(example_result());
    progress.clear();
    EXPECT_NE(std::ferror(file), 0);
    std::fclose(file);
  }
}

TEST(Progress, TellsACellThatWasKept) {
  const std::string text = written_by([](std::FILE* file) {
    Progress progress(file, false, 2);
    progress.begin(example_result());
    progress.keep(example_result());
    progress.begin(example_result());
    progress.finish(example_result());
  });
  EXPECT_EQ(
      text,
      "[1/2] prefill: topk budget=5%: noisy, total 25.0 ms, 4.00x dense, kept from an earlier "
      "run\n"
      "[2/2] prefill: topk budget=5%: noisy, total 25.0 ms, 4.00x dense\n");
}

TEST(Progress, EstimatesTheTimeLeftFromCellsThatWereRun) {
  const std::string text = written_by([](std::FILE* file) {
    Progress progress(file, true, 3);
    progress.begin(example_result());
    progress.keep(example_result());
    progress.begin(example_result());
  });
  EXPECT_EQ(text.find("left"), std::string::npos) << text;
}

TEST(Progress, GivesTheTimeLeftInWholeUnits) {
  EXPECT_EQ(time_left_text(0), "0 s");
  EXPECT_EQ(time_left_text(99'400), "99 s");
  EXPECT_EQ(time_left_text(99'600), "2 min");
  EXPECT_EQ(time_left_text(90 * 60'000), "90 min");
  EXPECT_EQ(time_left_text(150 * 60'000), "2.5 h");
}

TEST(Progress, RewritesOneLineOnATerminal) {
  const std::string text = written_by([](std::FILE* file) {
    Progress progress(file, true, 2);
    progress.begin(example_result());
    progress.finish(example_result());
    progress.begin(example_result());
    progress.clear();
  });
  EXPECT_EQ(text.find('\n'), std::string::npos);
  EXPECT_TRUE(text.starts_with("\r\x1b[K[1/2] prefill: topk budget=5%\r\x1b[K[2/2] prefill"))
      << text;
  EXPECT_NE(text.find("s left"), std::string::npos);
  EXPECT_TRUE(text.ends_with("\r\x1b[K"));
}

}  // namespace
}  // namespace maskerade
