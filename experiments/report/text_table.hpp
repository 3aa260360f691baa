#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace maskerade {

// What a piece of text is for its reader; a terminal with colours shows it so.
enum class Tone {
  kPlain,
  kSecondary,  // dim: what explains the rest
  kWarning,    // yellow
  kError,      // red
};

struct TextCell {
  std::string text;
  Tone tone = Tone::kPlain;
};

// From this rank on a column is spare: names are shown whole before it.
inline constexpr int kSpareRank = 7;

struct TextColumn {
  std::string name;  // in full, with its unit where it has one: "total (ms)"
  // The two lines above the column on a terminal: "total", "ms". Shorter than the name.
  std::string head = {};
  std::string subhead = {};
  bool is_left_aligned = false;
  std::size_t gap = 1;          // spaces before it on a terminal
  std::size_t least_width = 0;  // on a terminal; numbers of several tables then lie alike
  // Which columns a narrow terminal shows: 0 is always there, the smallest others come first, and
  // those of one rank come together or not at all; see kSpareRank.
  int rank = 0;
  std::string legend = {};  // what it means, in a few words: "density: active / visible entries"
};

struct TextRow {
  std::vector<TextCell> cells;         // one a column
  std::vector<TextCell> remarks = {};  // sentences under the row
};

// A table for whoever reads results, in whatever form. The first column names the row; on a
// terminal it has what room the others leave.
struct TextTable {
  std::string title;                 // what its rows have in common: a workload's label
  std::vector<std::string> heading;  // lines above it
  std::vector<TextColumn> columns;
  std::vector<TextRow> rows;
  std::vector<TextCell> notes = {};      // sentences under it
  std::vector<std::string> legend = {};  // what words in its cells mean
};

enum class TableFormat { kTerminal, kMarkdown, kLatex, kCsv };
std::string_view name_of(TableFormat format) noexcept;  // "terminal", "markdown", "latex", "csv"
std::optional<TableFormat> parse_table_format(std::string_view name) noexcept;

// The longest line of a table that goes to no terminal, in characters.
inline constexpr std::size_t kTableWidth = 136;

struct TerminalStyle {
  std::size_t width = kTableWidth;
  bool has_colors = false;
};

// The columns that a terminal of that width shows, as indexes: the first one and those of rank 0,
// then rank by rank those for which there is room beside a row's name, until one has none.
std::vector<std::size_t> columns_within(const TextTable& table, std::size_t width);

// The table in lines of at most the terminal's width; only a single word, and columns of rank 0
// that need more, exceed it. A name that is too long for its column reaches into cells that are
// empty, or stands on a line of its own. Texts are made printable().
std::string to_terminal(const TextTable& table, const TerminalStyle& style);
// All columns as a table of Markdown, below its title as a heading.
std::string to_markdown(const TextTable& table);
// All columns as a LaTeX tabular, which needs no package; heading, remarks and notes are comments.
std::string to_latex(const TextTable& table);
// All columns of all tables as one table of comma-separated values, see csv_field(). Where tables
// have titles, they are its first column, `workload`. Cells with "-" are empty; remarks and notes
// are left out.
std::string to_csv(std::span<const TextTable> tables);

// The text in a tone, where there are colours.
std::string toned(const std::string& text, Tone tone, bool has_colors);

// What the columns that a terminal of that width shows, and the words in their cells, mean.
std::vector<std::string> legend_within(const TextTable& table, std::size_t width);

// Joins entries by "; " into lines of at most `width` characters, never breaking an entry that fits
// into a line. Every line ends with a line break.
std::string packed(const std::vector<std::string>& entries, std::size_t width);

}  // namespace maskerade
