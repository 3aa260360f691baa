#include "experiments/results/csv_writer.hpp"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <limits>
#include <map>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <vector>

#include "experiments/results/cell_json.hpp"
#include "framework/base/error.hpp"
#include "tests/experiments/results/example_result.hpp"

namespace maskerade {
namespace {

// The records of a text by RFC 4180.
std::vector<std::vector<std::string>> records_of(const std::string& text) {
  std::vector<std::vector<std::string>> records;
  std::vector<std::string> record(1);
  bool is_quoted = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (is_quoted) {
      if (text[i] != '"') {
        record.back() += text[i];
      } else if (i + 1 < text.size() && text[i + 1] == '"') {
        record.back() += text[i++];
      } else {
        is_quoted = false;
      }
    } else if (text[i] == '"') {
      is_quoted = true;
    } else if (text[i] == ',') {
      record.emplace_back();
    } else if (text.compare(i, 2, "\r\n") == 0) {
      records.push_back(record);
      record.assign(1, "");
      ++i;
    } else {
      record.back() += text[i];
    }
  }
  return records;
}

std::map<std::string, std::string> fields_of(const CellResult& result) {
  const auto records = records_of(csv_header() + to_csv_line(result));
  EXPECT_EQ(records.size(), 2U);
  EXPECT_EQ(records[0].size(), records[1].size());
  std::map<std::string, std::string> fields;
  for (std::size_t i = 0; i < records[0].size(); ++i) fields[records[0][i]] = records[1][i];
  return fields;
}

TEST(Csv, HasTheKeysAndValuesOfTheJson) {
  const auto fields = fields_of(example_result());
  const nlohmann::json json = nlohmann::json::parse(to_json_line(example_result()));
  for (const auto& [name, value] : json.items()) {
    ASSERT_TRUE(fields.contains(name)) << name;
    const std::string& field = fields.at(name);
    if (value.is_null()) {
      EXPECT_EQ(field, "") << name;
    } else if (value.is_string()) {
      EXPECT_EQ(field, value.get<std::string>()) << name;
    } else {
      EXPECT_EQ(nlohmann::json::parse(field), value) << name;
    }
  }
}

TEST(Csv, LeavesAFieldEmptyThatWasNotMeasured) {
  CellResult result;
  const auto fields = fields_of(result);
  for (const char* name : {"density", "select_ms", "seed", "file", "peak_bytes", "kernel_mix"}) {
    EXPECT_EQ(fields.at(name), "") << name;
  }
  EXPECT_EQ(fields.at("params"), "{}");
}

TEST(Csv, QuotesCommasQuotesAndLineBreaks) {
  CellResult result = example_result();
  result.reason = "a \"quoted\", long\r\nreason\n";
  EXPECT_EQ(fields_of(result).at("reason"), result.reason);
  EXPECT_NE(to_csv_line(result).find(",\"a \"\"quoted\"\", long\r\nreason\n\","),
            std::string::npos);
}

TEST(Csv, TellsNaNAndInfinityFromWhatIsAbsent) {
  CellResult result = example_result();
  result.fidelity->lse_error = std::numeric_limits<double>::quiet_NaN();
  result.oracle->error = std::numeric_limits<double>::infinity();
  EXPECT_EQ(fields_of(result).at("lse_error"), "NaN");
  EXPECT_EQ(fields_of(result).at("oracle_error"), "inf");
}

TEST(Csv, HasNoTextThatASpreadsheetTakesForAFormula) {
  CellResult result = example_result();
  for (const std::string text :
       {"=1+2", "+1", "-2+3", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "=cmd|' /C calc'!A0"}) {
    result.pipeline = text;
    EXPECT_EQ(fields_of(result).at("pipeline"), "'" + text);
  }
  for (const std::string text : {"", "topk budget=5%", "a-b", "'quoted'", "5%"}) {
    result.pipeline = text;
    EXPECT_EQ(fields_of(result).at("pipeline"), text);
  }
  result.fidelity->lse_error = -1.5;
  EXPECT_EQ(fields_of(result).at("lse_error"), "-1.5") << "a number stays one";
}

TEST(Csv, IsValidUtf8) {
  CellResult result = example_result();
  result.pipeline = "caf\xe9";
  EXPECT_EQ(fields_of(result).at("pipeline"), "caf\xef\xbf\xbd");
}

TEST(CsvWriter, WritesTheHeaderAndALineACell) {
  const std::filesystem::path file =
      std::filesystem::path(testing::TempDir()) / "csv_writer_test.csv";
  CsvWriter writer(file);
  writer.write(example_result());
  writer.write(example_result());
  std::ostringstream text;
  text << std::ifstream(file).rdbuf();
  EXPECT_EQ(text.str(),
            csv_header() + to_csv_line(example_result()) + to_csv_line(example_result()));
  std::filesystem::remove(file);
}

TEST(CsvWriter, NamesAFileThatCannotBeWritten) {
  try {
    CsvWriter writer("/nowhere/results.csv");
    FAIL() << "opened";
  } catch (const ConfigError& error) {
    EXPECT_STREQ(error.what(),
                 "/nowhere/results.csv: cannot be written (No such file or directory); name a "
                 "file in a folder that exists and is writable");
  }
}

}  // namespace
}  // namespace maskerade
