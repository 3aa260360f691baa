#include "experiments/results/csv_writer.hpp"

#include <string_view>

#include "experiments/results/columns.hpp"

namespace maskerade {
namespace {

constexpr std::string_view kLineEnd = "\r\n";

std::string field_of(const std::string& text) {
  if (text.find_first_of(",\"\r\n") == std::string::npos) return text;
  std::string quoted = "\"";
  for (const char c : text) {
    if (c == '"') quoted += '"';
    quoted += c;
  }
  return quoted + "\"";
}

}  // namespace

std::string csv_header() {
  std::string line;
  for (const Column<CellResult>& column : exported_columns()) {
    line += (line.empty() ? "" : ",") + column.name;
  }
  return line.append(kLineEnd);
}

std::string to_csv_line(const CellResult& result) {
  std::string line;
  bool is_first = true;
  for (const Column<CellResult>& column : exported_columns()) {
    if (!is_first) line += ',';
    is_first = false;
    line += field_of(text_of(column.get(result)));
  }
  return line.append(kLineEnd);
}

CsvWriter::CsvWriter(const std::filesystem::path& file) : file_(file) {
  file_.append(csv_header());
}

void CsvWriter::write(const CellResult& result) { file_.append(to_csv_line(result)); }

}  // namespace maskerade
