#include "experiments/compare/comparison_report.hpp"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/experiments/compare/sides_for_test.hpp"

namespace maskerade::compare {
namespace {

// Eight pairs of runs of cells whose times in B are those of A times a factor.
class Report : public testing::Test {
 protected:
  void add(const std::string& pipeline, double factor, double noise = 0.002) {
    const auto number = static_cast<std::int64_t>(count_++);
    a_.runs.resize(8);
    b_.runs.resize(8);
    for (std::size_t i = 0; i < 8; ++i) {
      const double of_b = factor * (i % 2 == 0 ? 1 + noise : 1 - noise);
      a_.runs[i].cells.push_back(timed_cell(number, pipeline, 10));
      b_.runs[i].cells.push_back(timed_cell(number, pipeline, 10 * of_b));
    }
  }
  CellResult& last_of_b() { return b_.runs.front().cells.back(); }
  const Comparison& compare() { return comparison_ = compare_sides(a_, b_, options_); }
  std::string names(bool shows_all = false) {
    std::string text;
    for (const TextRow& row : table(shows_all).rows) {
      text += row.cells.front().text.substr(0, row.cells.front().text.find(',')) + " ";
    }
    return text;
  }
  TextTable table(bool shows_all = false) {
    compare();
    return table_of(comparison_, {"a note"}, {.compared = options_, .shows_all = shows_all});
  }

  CompareOptions options_{.is_paired = true};
  std::size_t count_ = 0;
  Side a_;
  Side b_;
  Comparison comparison_;
};

TEST_F(Report, ShowsWhatMattersFirst) {
  add("same", 1);
  add("unclear", 1.02, 0.3);
  add("faster", 0.8);
  add("slower", 1.2);
  add("slowest", 1.5);
  add("worse", 1);
  last_of_b().fidelity->rel_l2_error *= 2;
  EXPECT_EQ(names(), "worse slowest slower faster unclear same ");
  EXPECT_EQ(last_line(comparison_),
            "6 cells: 2 SLOWER, 1 FASTER, 2 SAME, 1 UNCLEAR; results: 1 worse, 0 better");
  const TextTable shown = table();
  EXPECT_EQ(shown.heading.front(), "median total, B over A; 6 cells are judged together at 5 %");
  EXPECT_EQ(shown.heading.back(), "a note");
  EXPECT_EQ(shown.rows.front().cells.back().text, "WORSE");
  EXPECT_EQ(shown.rows.front().remarks.front().text, "rel L2 error 0.0321 -> 0.0642");
  const std::vector<TextCell>& slowest = shown.rows[1].cells;
  EXPECT_EQ(slowest[0].text, "slowest, prefill");
  EXPECT_EQ(slowest[1].text, "10.0");
  EXPECT_EQ(slowest[3].text, "1.500");
  EXPECT_EQ(slowest[6].text, "SLOWER");
}

TEST_F(Report, TellsManySameCellsInOneLine) {
  for (std::size_t i = 0; i <= kMostSame; ++i) {
    add("p" + std::to_string(i), 1 + 0.001 * static_cast<double>(i));
  }
  EXPECT_EQ(names(), "");
  EXPECT_EQ(table().notes.front().text,
            "21 cells are SAME, with ratios from 1.000 to 1.020; --all shows them");
  EXPECT_EQ(table(true).rows.size(), 21U);
}

TEST_F(Report, NamesWhatOnlyOneSideHas) {
  add("both", 1);
  b_.runs.front().cells.push_back(timed_cell(7, "new", 1));
  const TextTable shown = table();
  EXPECT_EQ(shown.notes.back().text, "only in B: new, prefill");
  EXPECT_TRUE(last_line(comparison_).ends_with("; 1 only in B")) << last_line(comparison_);
}

TEST_F(Report, WritesAnObjectACell) {
  add("slower", 1.2);
  compare();
  const std::vector<std::string> lines = json_lines_of(comparison_, options_);
  ASSERT_EQ(lines.size(), 1U);
  const nlohmann::json json = nlohmann::json::parse(lines.front());
  EXPECT_EQ(json.at("pipeline"), "slower");
  EXPECT_EQ(json.at("verdict"), "SLOWER");
  EXPECT_EQ(json.at("quantity"), "median total");
  EXPECT_NEAR(json.at("ratio").get<double>(), 1.2, 0.01);
  EXPECT_LT(json.at("ratio_lo").get<double>(), 1.2);
  EXPECT_EQ(json.at("runs"), 8);
  EXPECT_EQ(json.at("worse"), nlohmann::json::array());
}

TEST(NameOfCell, SaysWhatIsNotTheUsual) {
  CellResult cell = timed_cell(0, "x", 1);
  EXPECT_EQ(name_of_cell(cell), "x, prefill");
  cell.device = "cuda";
  cell.kernel = "rows";  // of the dense reference it is the pipeline's name
  cell.mask_seed = 3;
  EXPECT_EQ(name_of_cell(cell), "x, prefill (cuda, rows, seed 3)");
}

}  // namespace
}  // namespace maskerade::compare
