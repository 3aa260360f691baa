#pragma once

#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

namespace maskerade {

inline std::vector<std::string> lines_of(const std::filesystem::path& file) {
  std::vector<std::string> lines;
  std::ifstream stream(file);
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  return lines;
}

// The texts between backticks.
inline std::vector<std::string> code_spans(const std::string& text) {
  std::vector<std::string> spans;
  for (std::size_t begin = text.find('`'); begin != std::string::npos;) {
    const std::size_t end = text.find('`', begin + 1);
    if (end == std::string::npos) break;
    spans.push_back(text.substr(begin + 1, end - begin - 1));
    begin = text.find('`', end + 1);
  }
  return spans;
}

// A row of a table, and the words in backticks of the heading that it stands under.
struct TableRow {
  std::string heading;             // "source gaussian" of "### `source` of kind `gaussian`"
  std::vector<std::string> cells;  // trimmed
};

inline std::vector<TableRow> table_rows(const std::filesystem::path& file) {
  std::vector<TableRow> rows;
  std::string heading;
  for (const std::string& line : lines_of(file)) {
    if (line.starts_with("#")) {
      heading.clear();
      for (const std::string& word : code_spans(line))
        heading += (heading.empty() ? "" : " ") + word;
    }
    if (!line.starts_with("| ")) continue;
    TableRow row{.heading = heading};
    std::istringstream stream(line.substr(1));
    for (std::string cell; std::getline(stream, cell, '|');) {
      const std::size_t begin = cell.find_first_not_of(' ');
      const std::size_t end = cell.find_last_not_of(' ');
      row.cells.push_back(begin == std::string::npos ? "" : cell.substr(begin, end - begin + 1));
    }
    rows.push_back(std::move(row));
  }
  return rows;
}

// The blocks fenced as ```LANGUAGE.
inline std::vector<std::string> code_blocks(const std::filesystem::path& file,
                                            const std::string& language) {
  std::vector<std::string> blocks;
  bool inside = false;
  for (const std::string& line : lines_of(file)) {
    if (inside && line == "```") {
      inside = false;
    } else if (inside) {
      blocks.back() += line + "\n";
    } else if (line == "```" + language) {
      inside = true;
      blocks.emplace_back();
    }
  }
  return blocks;
}

}  // namespace maskerade
