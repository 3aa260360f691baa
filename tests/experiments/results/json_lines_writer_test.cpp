#include "experiments/results/json_lines_writer.hpp"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "framework/base/error.hpp"
#include "tests/experiments/results/example_result.hpp"

namespace maskerade {
namespace {

std::vector<std::string> lines_of(const std::filesystem::path& file) {
  std::ifstream stream(file);
  std::vector<std::string> lines;
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  return lines;
}

TEST(JsonLinesWriter, HasEveryResultInTheFileAsSoonAsItIsWritten) {
  const std::filesystem::path file =
      std::filesystem::path(testing::TempDir()) / "json_lines_writer_test.jsonl";
  std::ofstream(file) << "what an earlier run left\n";
  JsonLinesWriter writer(file);
  EXPECT_TRUE(lines_of(file).empty());
  for (std::int64_t cell = 0; cell < 3; ++cell) {
    CellResult result = example_result();
    result.cell = cell;
    writer.write(result);
    const std::vector<std::string> lines = lines_of(file);
    ASSERT_EQ(static_cast<std::int64_t>(lines.size()), cell + 1);
    EXPECT_EQ(nlohmann::json::parse(lines.back()).at("cell"), cell);
  }
  std::filesystem::remove(file);
}

TEST(JsonLinesWriter, NamesAFileThatCannotBeWritten) {
  try {
    JsonLinesWriter writer("/nowhere/results.jsonl");
    FAIL() << "opened";
  } catch (const ConfigError& error) {
    EXPECT_STREQ(error.what(),
                 "/nowhere/results.jsonl: cannot be written (No such file or directory); name a "
                 "file in a folder that exists and is writable");
  }
}

TEST(JsonLinesWriter, NamesAFullDevice) {
  if (!std::filesystem::exists("/dev/full")) GTEST_SKIP() << "there is no /dev/full";
  JsonLinesWriter writer("/dev/full");
  EXPECT_THROW(writer.write(example_result()), ConfigError);
}

}  // namespace
}  // namespace maskerade
