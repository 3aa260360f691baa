#include "experiments/report/text_table.hpp"

#include <algorithm>
#include <set>

#include "experiments/report/number_text.hpp"
#include "experiments/results/csv_writer.hpp"
#include "framework/base/text.hpp"

namespace maskerade {
namespace {

constexpr std::size_t kIndent = 2;
constexpr std::size_t kRemarkIndent = kIndent + 4;
// A row's name has a seventh of a terminal, before spare columns are shown a third, and this many
// characters, at least.
constexpr std::size_t kNameShare = 7;
constexpr std::size_t kWholeNameShare = 3;
constexpr std::size_t kLeastName = 16;

// How wide a column is: its head, its widest cell, its least width.
std::size_t width_of(const TextTable& table, std::size_t column) {
  const TextColumn& of = table.columns[column];
  std::size_t width =
      std::max({of.least_width, character_count(of.head), character_count(of.subhead)});
  for (const TextRow& row : table.rows) {
    width = std::max(width, character_count(printable(row.cells[column].text)));
  }
  return width;
}

// The longest name that has a cell beside it.
std::size_t longest_name(const TextTable& table) {
  std::size_t longest = character_count(table.columns.front().head);
  for (const TextRow& row : table.rows) {
    if (row.cells.size() > 1 && row.cells[1].text.empty()) continue;
    longest = std::max(longest, character_count(printable(row.cells.front().text)));
  }
  return longest;
}

// What names must have of a line before columns of a rank are shown.
std::size_t room_of_names(const TextTable& table, std::size_t width, int rank) {
  const std::size_t share = rank < kSpareRank ? kNameShare : kWholeNameShare;
  return std::min(longest_name(table), std::max(kLeastName, width / share));
}

// A table on a terminal.
class TerminalTable {
 public:
  TerminalTable(const TextTable& table, const TerminalStyle& style)
      : table_(table), style_(style), shown_(columns_within(table, style.width)) {
    std::size_t taken = kIndent;
    for (const std::size_t column : shown_) {
      widths_.push_back(width_of(table, column));
      if (column != 0) taken += table.columns[column].gap + widths_.back();
    }
    const std::size_t room = style.width > taken ? style.width - taken : 0;
    widths_.front() =
        std::max(std::min(longest_name(table), room), character_count(table.columns.front().head));
  }

  std::string text() const {
    std::string text;
    for (const std::string& line : table_.heading) {
      text += in_lines({line}, text.empty() ? 0 : kIndent);
    }
    std::vector<TextCell> heads;
    std::vector<TextCell> subheads;
    for (const TextColumn& column : table_.columns) {
      heads.push_back({column.head, Tone::kSecondary});
      subheads.push_back({column.subhead, Tone::kSecondary});
    }
    text += line_of(heads);
    if (std::any_of(shown_.begin(), shown_.end(),
                    [&](std::size_t i) { return !table_.columns[i].subhead.empty(); })) {
      text += line_of(subheads);
    }
    for (const TextRow& row : table_.rows) {
      text += line_of(row.cells);
      for (const TextCell& remark : row.remarks) text += in_lines(remark, kRemarkIndent);
    }
    for (const TextCell& note : table_.notes) text += in_lines(note, kIndent);
    return text;
  }

 private:
  std::string in_lines(const TextCell& sentence, std::size_t indent) const {
    const std::string lines = wrapped_hanging(sentence.text, style_.width, indent);
    if (!style_.has_colors || sentence.tone == Tone::kPlain) return lines;
    // Each line by itself, so that a pager that cuts between two keeps the tone.
    std::string text;
    for (std::size_t begin = 0; begin < lines.size();) {
      const std::size_t end = lines.find('\n', begin);
      text += toned(lines.substr(begin, end - begin), sentence.tone, true) + "\n";
      begin = end + 1;
    }
    return text;
  }

  std::string line_of(const std::vector<TextCell>& cells) const {
    const std::string name = printable(cells.front().text);
    std::string line =
        std::string(kIndent, ' ') + toned(name, cells.front().tone, style_.has_colors);
    std::size_t at = kIndent + character_count(name);  // the column after what is written
    std::size_t place = kIndent + widths_.front();     // where the next cell's gap begins
    // A name that reaches into a cell with text has a line of its own.
    const auto break_line = [&] {
      line += "\n";
      at = 0;
    };
    bool is_name_alone = true;
    for (std::size_t i = 1; i < shown_.size(); ++i) {
      const TextColumn& column = table_.columns[shown_[i]];
      const std::string text = printable(cells[shown_[i]].text);
      const std::size_t begin = place + column.gap;
      place = begin + widths_[i];
      if (text.empty()) continue;
      const std::size_t spare = widths_[i] - character_count(text);
      const std::size_t text_begin = begin + (column.is_left_aligned ? 0 : spare);
      if (is_name_alone && at + 1 > text_begin) break_line();
      is_name_alone = false;
      line +=
          std::string(text_begin - at, ' ') + toned(text, cells[shown_[i]].tone, style_.has_colors);
      at = text_begin + character_count(text);
    }
    return line + "\n";
  }

  const TextTable& table_;
  const TerminalStyle& style_;
  std::vector<std::size_t> shown_;   // indexes of columns
  std::vector<std::size_t> widths_;  // of those
};

std::string markdown_cell(const std::string& text) {
  std::string cell;
  for (const char c : printable(text)) {
    if (c == '|' || c == '\\' || c == '*' || c == '_' || c == '`' || c == '<') cell += '\\';
    cell += c;
  }
  return cell;
}

std::string latex_text(const std::string& text) {
  static constexpr std::string_view kEscaped = "&%$#_{}";
  const std::string shown = printable(text);
  std::string latex;
  for (std::size_t i = 0; i < shown.size(); ++i) {
    const char c = shown[i];
    if (kEscaped.find(c) != std::string_view::npos) {
      latex += std::string("\\") + c;
    } else if (c == '\\') {
      latex += "\\textbackslash{}";
    } else if (c == '~') {
      latex += "\\textasciitilde{}";
    } else if (c == '^') {
      latex += "\\textasciicircum{}";
    } else if (std::string_view(shown).substr(i).starts_with("±")) {
      latex += "$\\pm$";
      i += std::string_view("±").size() - 1;
    } else {
      latex += c;
    }
  }
  return latex;
}

}  // namespace

std::string_view name_of(TableFormat format) noexcept {
  switch (format) {
    case TableFormat::kTerminal:
      return "terminal";
    case TableFormat::kMarkdown:
      return "markdown";
    case TableFormat::kLatex:
      return "latex";
    case TableFormat::kCsv:
      return "csv";
  }
  return "";
}

std::optional<TableFormat> parse_table_format(std::string_view name) noexcept {
  for (const TableFormat format :
       {TableFormat::kTerminal, TableFormat::kMarkdown, TableFormat::kLatex, TableFormat::kCsv}) {
    if (name_of(format) == name) return format;
  }
  return std::nullopt;
}

std::vector<std::size_t> columns_within(const TextTable& table, std::size_t width) {
  std::size_t taken = kIndent;
  std::set<int> ranks;
  std::vector<std::size_t> widths;
  for (std::size_t i = 0; i < table.columns.size(); ++i) {
    ranks.insert(table.columns[i].rank);
    widths.push_back(table.columns[i].gap + width_of(table, i));
    if (i != 0 && table.columns[i].rank == 0) taken += widths[i];
  }
  std::set<std::size_t> shown = {0};
  for (const int rank : ranks) {
    std::vector<std::size_t> members;
    std::size_t needed = 0;
    for (std::size_t i = 1; i < table.columns.size(); ++i) {
      if (table.columns[i].rank != rank) continue;
      members.push_back(i);
      needed += widths[i];
    }
    if (rank != 0 && taken + needed + room_of_names(table, width, rank) > width) break;
    if (rank != 0) taken += needed;
    shown.insert(members.begin(), members.end());
  }
  return {shown.begin(), shown.end()};
}

std::string to_terminal(const TextTable& table, const TerminalStyle& style) {
  return TerminalTable(table, style).text();
}

std::string to_markdown(const TextTable& table) {
  std::string text;
  for (const std::string& line : table.heading) {
    text += (text.empty() ? "### " : "") + markdown_cell(line) + "\n\n";
  }
  std::string rule;
  for (const TextColumn& column : table.columns) {
    text += "| " + markdown_cell(column.name) + " ";
    rule += column.is_left_aligned ? "|:---" : "|---:";
  }
  text += "|\n" + rule + "|\n";
  for (const TextRow& row : table.rows) {
    for (const TextCell& cell : row.cells) text += "| " + markdown_cell(cell.text) + " ";
    text += "|\n";
  }
  std::string sentences;
  for (const TextRow& row : table.rows) {
    for (const TextCell& remark : row.remarks) {
      sentences += "- " + markdown_cell(row.cells.front().text + ": " + remark.text) + "\n";
    }
  }
  for (const TextCell& note : table.notes) sentences += "- " + markdown_cell(note.text) + "\n";
  return text + (sentences.empty() ? "" : "\n" + sentences);
}

std::string to_latex(const TextTable& table) {
  std::string text;
  for (const std::string& line : table.heading) text += "% " + printable(line) + "\n";
  text += "\\begin{tabular}{";
  std::string names;
  for (const TextColumn& column : table.columns) {
    text += column.is_left_aligned ? 'l' : 'r';
    names += (names.empty() ? "" : " & ") + latex_text(column.name);
  }
  text += "}\n\\hline\n" + names + " \\\\\n\\hline\n";
  for (const TextRow& row : table.rows) {
    std::string line;
    for (std::size_t i = 0; i < row.cells.size(); ++i) {
      line += (i == 0 ? "" : " & ") + latex_text(row.cells[i].text);
    }
    text += line + " \\\\\n";
    for (const TextCell& remark : row.remarks) text += "% " + printable(remark.text) + "\n";
  }
  text += "\\hline\n\\end{tabular}\n";
  for (const TextCell& note : table.notes) text += "% " + printable(note.text) + "\n";
  return text;
}

std::string to_csv(std::span<const TextTable> tables) {
  const bool has_titles = std::any_of(tables.begin(), tables.end(),
                                      [](const TextTable& table) { return !table.title.empty(); });
  std::vector<std::string> names;
  for (const TextTable& table : tables) {
    for (const TextColumn& column : table.columns) {
      if (std::find(names.begin(), names.end(), column.name) == names.end()) {
        names.push_back(column.name);
      }
    }
  }
  const auto line_of = [&](const std::string& title, const std::vector<std::string>& fields) {
    std::string line = has_titles ? title : "";
    for (std::size_t i = 0; i < fields.size(); ++i) {
      line += (i == 0 && !has_titles ? "" : ",") + fields[i];
    }
    return line.append(kCsvLineEnd);
  };
  std::vector<std::string> heads;
  for (const std::string& name : names) heads.push_back(csv_field(name, true));
  std::string text = line_of("workload", heads);
  for (const TextTable& table : tables) {
    for (const TextRow& row : table.rows) {
      std::vector<std::string> fields(names.size());
      for (std::size_t i = 0; i < table.columns.size(); ++i) {
        const TextColumn& column = table.columns[i];
        const auto at = std::find(names.begin(), names.end(), column.name);
        const std::string& cell = row.cells[i].text;
        fields[static_cast<std::size_t>(at - names.begin())] =
            csv_field(cell == "-" ? "" : cell, column.is_left_aligned);
      }
      text += line_of(csv_field(table.title, true), fields);
    }
  }
  return text;
}

std::vector<std::string> legend_within(const TextTable& table, std::size_t width) {
  std::vector<std::string> legend;
  for (const std::size_t column : columns_within(table, width)) {
    if (!table.columns[column].legend.empty()) legend.push_back(table.columns[column].legend);
  }
  legend.insert(legend.end(), table.legend.begin(), table.legend.end());
  return legend;
}

std::string toned(const std::string& text, Tone tone, bool has_colors) {
  if (!has_colors || text.empty()) return text;
  switch (tone) {
    case Tone::kPlain:
      return text;
    case Tone::kSecondary:
      return "\x1b[2m" + text + "\x1b[0m";
    case Tone::kWarning:
      return "\x1b[33m" + text + "\x1b[0m";
    case Tone::kError:
      return "\x1b[31m" + text + "\x1b[0m";
  }
  return text;
}

std::string packed(const std::vector<std::string>& entries, std::size_t width) {
  std::string text;
  std::string line;
  const auto end_line = [&] {
    if (!line.empty()) text += wrapped(line, width, 0);
    line.clear();
  };
  for (const std::string& entry : entries) {
    if (!line.empty() && character_count(line) + 2 + character_count(entry) > width) end_line();
    line += (line.empty() ? "" : "; ") + entry;
  }
  end_line();
  return text;
}

}  // namespace maskerade
