#include "experiments/results/columns_markdown.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

namespace maskerade {
namespace {

// The lines of the table under a heading of experiments/README.md.
std::vector<std::string> documented_lines(const std::string& heading) {
  std::ifstream stream(std::filesystem::path(EXPERIMENTS_FOLDER) / "README.md");
  std::vector<std::string> lines;
  bool is_under_heading = false;
  for (std::string line; std::getline(stream, line);) {
    if (line.starts_with("#")) is_under_heading = line == "### " + heading;
    if (is_under_heading && line.starts_with("|")) lines.push_back(line);
  }
  return lines;
}

TEST(ColumnsMarkdown, IsWhatTheReadmeSays) {
  for (const ColumnsMarkdown& table : columns_markdown()) {
    SCOPED_TRACE(table.heading);
    const std::vector<std::string> documented = documented_lines(std::string(table.heading));
    for (std::size_t i = 0; i < std::min(table.lines.size(), documented.size()); ++i) {
      EXPECT_EQ(documented[i], table.lines[i])
          << "maskerade results --describe-columns prints the table";
    }
    EXPECT_EQ(documented.size(), table.lines.size());
  }
}

TEST(ColumnsMarkdown, HasATableForEachOfTheDatabase) {
  std::vector<std::string> headings;
  for (const ColumnsMarkdown& table : columns_markdown()) headings.emplace_back(table.heading);
  EXPECT_EQ(headings,
            (std::vector<std::string>{"Columns of a cell", "Columns of a head", "Columns of a step",
                                      "Columns of the samples of a stage", "Columns of a run",
                                      "Columns of a cell that has begun"}));
}

TEST(ColumnsMarkdown, HasTypeUnitAndMeaningOfAColumn) {
  const std::vector<ColumnsMarkdown> tables = columns_markdown();
  for (const char* line :
       {"| column | type | unit | meaning |",
        "| `density` | real | share | Active entries over visible entries. |",
        "| `mask_seed` | unsigned | | Seed of random maskers; null of the dense reference. |"}) {
    const std::vector<std::string>& lines = tables.front().lines;
    EXPECT_EQ(std::count(lines.begin(), lines.end(), line), 1) << line;
  }
}

}  // namespace
}  // namespace maskerade
