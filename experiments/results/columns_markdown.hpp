#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace maskerade {

// A table of the results and its columns for a reader of Markdown.
struct ColumnsMarkdown {
  std::string_view heading;        // "Columns of a cell"
  std::vector<std::string> lines;  // of the table: header, rule, then a row a column
};

// Of the tables cells, heads and steps, in that order: what experiments/README.md says of them.
std::vector<ColumnsMarkdown> columns_markdown();

}  // namespace maskerade
