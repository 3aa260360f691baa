#include "experiments/benchmarks/published_tables.hpp"

#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "experiments/benchmarks/benchmark_case.hpp"
#include "framework/base/error.hpp"

namespace maskerade {
namespace {

// Times in which every case took 1 ms on one thread.
MedianTimes every_case() {
  MedianTimes times;
  for (const BenchmarkCase& one : benchmark_cases(Scale::kFull)) times[{one.name, 1}] = 1;
  return times;
}

// How many lines of a text contain a word.
int lines_with(const std::string& text, const std::string& word) {
  std::istringstream lines(text);
  int found = 0;
  for (std::string line; std::getline(lines, line);) {
    if (line.find(word) != std::string::npos) ++found;
  }
  return found;
}

// Rationale: a row that names a case which does not exist would never be printed.
TEST(PublishedTables, PrintEveryRowWhenEveryCaseWasTimed) {
  const std::string text = format_published_tables(every_case(), {});
  EXPECT_EQ(lines_with(text, "  density "), 3 * 2 * 2 * 5);
  EXPECT_EQ(lines_with(text, "  old "), 12);
  EXPECT_EQ(lines_with(text, "  new "), 12);
  EXPECT_EQ(lines_with(text, "  new, one mask "), 3);
  EXPECT_EQ(lines_with(text, "  broadcast "), 6);
  EXPECT_EQ(lines_with(text, " tokens, batch "), 15);
  for (const char* table :
       {"\nmask_operations apply_mask: ", "\nmask_operations local: ", "\noracle_topk comparison: ",
        "\nblock_dilated: ", "\nblock_local: ", "\nblock_density: "}) {
    EXPECT_NE(text.find(table), std::string::npos) << table;
  }
}

TEST(PublishedTables, PrintWhatWasTimedBesidePublishedAndToday) {
  const std::string name = "oracle_topk/Tiny/direct";
  const std::string text =
      format_published_tables({{{name, 2}, 0.25}}, {{{{name, 2}, "new"}, 3.5}});
  EXPECT_NE(text.find("oracle_topk comparison"), std::string::npos);
  EXPECT_EQ(text.find("mask_operations"), std::string::npos);
  EXPECT_EQ(lines_with(text, "Tiny"), 1);
  EXPECT_NE(text.find("10 %  new         0.737             3.50           0.250"),
            std::string::npos)
      << text;
}

TEST(PublishedTables, PrintNothingWhenNothingOfThemWasTimed) {
  EXPECT_EQ(format_published_tables({{{"dense/1x1x1x1x1x1/float32", 1}, 1}}, {}), "");
}

TEST(PublishedTables, TimesOfTodayAreTheRowsAgainstThePublishedCode) {
  const auto file = std::filesystem::path(::testing::TempDir()) / "comparison.json";
  std::ofstream(file) << R"({"rows": [
    {"case": "a", "threads": 2, "reference": "hub dense", "theirs_ms": 1.5},
    {"case": "a", "threads": 2, "reference": "torch dense", "theirs_ms": 2.5},
    {"case": "b", "threads": 2, "reference": "hub dense", "theirs_ms": null}]})";
  EXPECT_EQ(read_times_today(file), (TimesToday{{{{"a", 2}, "dense"}, 1.5}}));
  std::ofstream(file) << "not JSON";
  EXPECT_THROW(read_times_today(file), DataError);
  EXPECT_THROW(read_times_today("no such file"), DataError);
}

TEST(Scaling, FitsTheExponentOfAPowerLaw) {
  MedianTimes times;
  for (const int n : {1024, 2048, 8192}) {
    times[{"scaling/dense/keys=" + std::to_string(n), 2}] = 3e-6 * n * n;
  }
  times[{"scaling/decode/keys=1024", 2}] = 1;
  EXPECT_EQ(format_scaling(times),
            "\nscaling: how time grows with the number of keys\n  dense, 2 threads: time grows "
            "with key_len to the power 2.00\n");
}

}  // namespace
}  // namespace maskerade
