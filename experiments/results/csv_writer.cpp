#include "experiments/results/csv_writer.hpp"

#include <string_view>

#include "experiments/results/columns.hpp"

namespace maskerade {
namespace {

// Rationale: a spreadsheet takes a field that begins with one of these for a formula, whoever wrote
// the text (OWASP, CSV injection).
std::string without_formula(const std::string& text) {
  constexpr std::string_view kFormulaBegins = "=+-@\t\r\n";
  const bool is_formula = !text.empty() && kFormulaBegins.find(text[0]) != std::string_view::npos;
  return is_formula ? "'" + text : text;
}

std::string quoted(const std::string& text) {
  if (text.find_first_of(",\"\r\n") == std::string::npos) return text;
  std::string field = "\"";
  for (const char c : text) {
    if (c == '"') field += '"';
    field += c;
  }
  return field + "\"";
}

}  // namespace

std::string csv_field(const std::string& text, bool is_text) {
  return quoted(is_text ? without_formula(text) : text);
}

std::string csv_header() {
  std::string line;
  for (const Column<CellResult>& column : exported_columns()) {
    line += (line.empty() ? "" : ",") + column.name;
  }
  return line.append(kCsvLineEnd);
}

std::string to_csv_line(const CellResult& result) {
  std::string line;
  bool is_first = true;
  for (const Column<CellResult>& column : exported_columns()) {
    if (!is_first) line += ',';
    is_first = false;
    line += csv_field(text_of(column.get(result)), column.type == ColumnType::kText);
  }
  return line.append(kCsvLineEnd);
}

CsvWriter::CsvWriter(const std::filesystem::path& file) : file_(file) {
  file_.append(csv_header());
}

void CsvWriter::write(const CellResult& result) { file_.append(to_csv_line(result)); }

}  // namespace maskerade
