#include "experiments/compare/side.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "experiments/results/cell_json.hpp"
#include "experiments/results/result_store.hpp"
#include "framework/base/error.hpp"
#include "tests/experiments/compare/sides_for_test.hpp"

namespace maskerade::compare {
namespace {

namespace fs = std::filesystem;

class ReadSide : public testing::Test {
 protected:
  ReadSide() {
    const auto* test = testing::UnitTest::GetInstance()->current_test_info();
    folder_ = fs::path(testing::TempDir()) /
              ("maskerade_side_" + std::to_string(getpid()) + "_" + test->name());
    fs::remove_all(folder_);
    fs::create_directories(folder_);
  }
  ~ReadSide() override { fs::remove_all(folder_); }

  void write_results(const std::string& name) const {
    ResultStore store(folder_ / name);
    CellResult cell = full_result();
    cell.key = "k";
    store.write(cell);
    cell.key = "of another version";
    cell.cell = CellResult::kNoNumber;
    store.write(cell);
  }
  void write_json(const std::string& name, int cells) const {
    std::ofstream file(folder_ / name);
    for (int i = 0; i < cells; ++i) file << to_json_line(timed_cell(i, "x", 1)) << "\n";
  }

  fs::path folder_;
};

TEST_F(ReadSide, TakesAFolderOfOneRunWithItsSamples) {
  write_results("run");
  const Side side = read_side(folder_ / "run");
  ASSERT_EQ(side.runs.size(), 1U);
  ASSERT_EQ(side.runs.front().cells.size(), 1U);
  EXPECT_EQ(side.runs.front().cells.front().samples.size(), 2U);
  EXPECT_EQ(read_side(folder_ / "run" / "results.sqlite").runs.size(), 1U);
}

TEST_F(ReadSide, TakesAFileOfJsonLines) {
  write_json("a.jsonl", 3);
  EXPECT_EQ(read_side(folder_ / "a.jsonl").runs.front().cells.size(), 3U);
}

TEST_F(ReadSide, TakesAFolderOfRunsInTheOrderOfTheirNames) {
  write_json("run-2.jsonl", 2);
  write_json("run-1.jsonl", 1);
  write_results("later");
  fs::create_directories(folder_ / "empty");
  std::ofstream(folder_ / "notes.txt") << "x";
  const Side side = read_side(folder_);
  ASSERT_EQ(side.runs.size(), 3U);
  EXPECT_TRUE(side.runs[0].cells.front().samples.empty()) << "of several runs medians are enough";
  EXPECT_EQ(side.runs[1].cells.size(), 1U);
  EXPECT_EQ(side.runs[2].cells.size(), 2U);
}

TEST_F(ReadSide, SaysWhatItNeedsInstead) {
  const auto message_of = [](const fs::path& path) -> std::string {
    try {
      read_side(path);
    } catch (const ConfigError& error) {
      return error.what();
    }
    return "";
  };
  EXPECT_EQ(message_of(folder_),
            folder_.string() +
                ": holds no results; name a folder that a run was given with --out, or one of "
                "several such folders");
  EXPECT_NE(message_of(folder_ / "missing").find("is not there"), std::string::npos);
  write_json("a.jsonl", 1);
  std::ofstream(folder_ / "a.jsonl", std::ios::app) << "{\n";
  EXPECT_EQ(message_of(folder_ / "a.jsonl"),
            (folder_ / "a.jsonl").string() +
                ":2: a line of results is not JSON, or a value in it is none of its column's; "
                "name a file that run --json wrote");
}

}  // namespace
}  // namespace maskerade::compare
