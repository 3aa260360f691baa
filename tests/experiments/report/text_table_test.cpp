#include "experiments/report/text_table.hpp"

#include <gtest/gtest.h>

#include <sstream>
#include <string>
#include <vector>

#include "framework/base/text.hpp"

namespace maskerade {
namespace {

// Two numbers beside a name, the second of which is dispensable, and a word.
TextTable small_table() {
  return {.title = "prefill",
          .heading = {"prefill: 64 keys"},
          .columns = {{.name = "pipeline", .head = "pipeline", .is_left_aligned = true},
                      {.name = "total (ms)", .head = "total", .subhead = "ms", .legend = "total"},
                      {.name = "± (%)", .head = "±", .subhead = "%", .rank = 1, .legend = "half"},
                      {.name = "status", .head = "status", .is_left_aligned = true, .gap = 2}},
          .rows = {{{{"topk"}, {"1.25"}, {"3.5"}, {"ok"}}},
                   {{{"broken"}, {"-"}, {"-"}, {"FAILED", Tone::kError}},
                    {{"failed: no codebook", Tone::kError}}}},
          .notes = {{"doubtful", Tone::kWarning}},
          .legend = {"FAILED: it failed"}};
}

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  return lines;
}

TEST(TerminalTable, AlignsByCharactersAndNotByBytes) {
  EXPECT_EQ(to_terminal(small_table(), {}), R"(prefill: 64 keys
  pipeline total   ±  status
              ms   %
  topk      1.25 3.5  ok
  broken       -   -  FAILED
      failed: no codebook
  doubtful
)");
}

TEST(TerminalTable, LeavesOutWhatHasNoRoomRankByRank) {
  const std::string table = to_terminal(small_table(), {.width = 24});
  EXPECT_EQ(lines_of(table)[1], "  pipeline total  status") << table;
  EXPECT_EQ(legend_within(small_table(), 24),
            (std::vector<std::string>{"total", "FAILED: it failed"}));
  EXPECT_EQ(legend_within(small_table(), 136),
            (std::vector<std::string>{"total", "half", "FAILED: it failed"}));
}

TEST(TerminalTable, ShowsColumnsOfOneRankTogetherOrNotAtAll) {
  TextTable table = small_table();
  table.columns[3].rank = 1;
  EXPECT_EQ(columns_within(table, 25), (std::vector<std::size_t>{0, 1}));
  EXPECT_EQ(columns_within(table, 40), (std::vector<std::size_t>{0, 1, 2, 3}));
}

TEST(TerminalTable, SetsColorsThatTakeNoRoom) {
  const std::string plain = to_terminal(small_table(), {});
  std::string colored = to_terminal(small_table(), {.has_colors = true});
  EXPECT_NE(colored.find("\x1b[31mFAILED\x1b[0m"), std::string::npos);
  for (const std::string code : {"\x1b[0m", "\x1b[2m", "\x1b[31m", "\x1b[33m"}) {
    for (std::size_t at = colored.find(code); at != std::string::npos; at = colored.find(code)) {
      colored.erase(at, code.size());
    }
  }
  EXPECT_EQ(colored, plain);
}

TEST(TerminalTable, PutsALongNameOnALineOfItsOwnUnlessItsNeighboursAreEmpty) {
  TextTable table = small_table();
  table.rows = {{{{"a name of thirty-one characters"}, {"1"}, {"2"}, {"ok"}}},
                {{{"± standard deviation over 3 seeds"}, {""}, {""}, {"x"}}}};
  EXPECT_EQ(to_terminal(table, {.width = 37}), R"(prefill: 64 keys
  pipeline            total ±  status
                         ms %
  a name of thirty-one characters
                          1 2  ok
  ± standard deviation over 3 seeds
                               x
  doubtful
)");
  for (const std::string& line : lines_of(to_terminal(table, {.width = 37}))) {
    EXPECT_LE(character_count(line), 37U) << line;
  }
}

TEST(TerminalTable, ObeysNoControlCharacterOfACell) {
  TextTable table = small_table();
  table.rows[0].cells[0].text = "a\x1b[2J\nb";
  EXPECT_NE(to_terminal(table, {}).find("  a\\x1b[2J\\x0ab"), std::string::npos);
}

TEST(MarkdownTable, HasEveryColumnAndEscapesItsMarks) {
  TextTable table = small_table();
  table.rows[0].cells[0].text = "a|b_c";
  EXPECT_EQ(to_markdown(table), R"(### prefill: 64 keys

| pipeline | total (ms) | ± (%) | status |
|:---|---:|---:|:---|
| a\|b\_c | 1.25 | 3.5 | ok |
| broken | - | - | FAILED |

- broken: failed: no codebook
- doubtful
)");
}

TEST(LatexTable, NeedsNoPackageAndEscapesItsMarks) {
  TextTable table = small_table();
  table.rows[0].cells[0].text = "a_b 5% ~";
  EXPECT_EQ(to_latex(table), R"(% prefill: 64 keys
\begin{tabular}{lrrl}
\hline
pipeline & total (ms) & $\pm$ (\%) & status \\
\hline
a\_b 5\% \textasciitilde{} & 1.25 & 3.5 & ok \\
broken & - & - & FAILED \\
% failed: no codebook
\hline
\end{tabular}
% doubtful
)");
}

TEST(CsvTable, JoinsTheColumnsOfAllTables) {
  TextTable other = small_table();
  other.title = "decode, long";
  other.columns[2] = {.name = "n", .head = "n"};
  other.rows.resize(1);
  other.rows[0].cells[0].text = "=1+1";
  EXPECT_EQ(to_csv(std::vector<TextTable>{small_table(), other}),
            "workload,pipeline,total (ms),± (%),status,n\r\n"
            "prefill,topk,1.25,3.5,ok,\r\n"
            "prefill,broken,,,FAILED,\r\n"
            "\"decode, long\",'=1+1,1.25,,ok,3.5\r\n");
}

TEST(CsvTable, WithoutTitlesHasNoColumnForThem) {
  TextTable table = small_table();
  table.title = "";
  table.rows.resize(1);
  EXPECT_EQ(to_csv(std::vector<TextTable>{table}),
            "pipeline,total (ms),± (%),status\r\ntopk,1.25,3.5,ok\r\n");
}

TEST(TableFormats, HaveNames) {
  for (const TableFormat format :
       {TableFormat::kTerminal, TableFormat::kMarkdown, TableFormat::kLatex, TableFormat::kCsv}) {
    EXPECT_EQ(parse_table_format(name_of(format)), format);
  }
  EXPECT_FALSE(parse_table_format("html"));
}

TEST(Packed, BreaksBetweenEntriesWhereItCan) {
  EXPECT_EQ(packed({"one two", "three", "four five six seven"}, 16),
            "one two; three\nfour five six\nseven\n");
  EXPECT_EQ(packed({}, 10), "");
}

}  // namespace
}  // namespace maskerade
