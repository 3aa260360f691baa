#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include "experiments/results/cell_result.hpp"
#include "experiments/results/record_file.hpp"

namespace maskerade {

// A table as comma-separated values (RFC 4180: lines end with CR LF; fields with a comma, a quote
// or a line break are quoted, quotes doubled). The columns are exported_columns(); a field is what
// text_of() gives, JSON its text. A field is empty where nothing was measured; numbers may be NaN,
// inf and -inf. A text that begins with =, +, -, @, a tab or a line break has an apostrophe before
// it.
inline constexpr std::string_view kCsvLineEnd = "\r\n";
// A field of that table. is_text: whether it may hold what a spreadsheet would take for a formula.
std::string csv_field(const std::string& text, bool is_text);
std::string csv_header();
std::string to_csv_line(const CellResult& result);

// A CSV file: the header, then one line for each cell.
class CsvWriter {
 public:
  // Replaces the file and writes the header. Throws ConfigError when it cannot be written.
  explicit CsvWriter(const std::filesystem::path& file);
  // Throws ConfigError when the line cannot be written.
  void write(const CellResult& result);

 private:
  RecordFile file_;
};

}  // namespace maskerade
