#include "experiments/results/csv_writer.hpp"

#include <array>
#include <charconv>
#include <cmath>
#include <string_view>

#include "experiments/results/columns.hpp"

namespace maskerade {
namespace {

constexpr std::string_view kLineEnd = "\r\n";

std::string field_of(std::monostate) { return ""; }
std::string field_of(bool value) { return value ? "true" : "false"; }
std::string field_of(std::int64_t value) { return std::to_string(value); }
std::string field_of(std::uint64_t value) { return std::to_string(value); }
std::string field_of(double value) {
  if (std::isnan(value)) return "NaN";
  std::array<char, 32> text;  // the shortest text that reads back as the same number
  const auto end = std::to_chars(text.data(), text.data() + text.size(), value).ptr;
  return {text.data(), end};
}
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
  for (const Column& column : cell_columns()) {
    if (!line.empty()) line += ',';
    line += column.name;
  }
  return line.append(kLineEnd);
}

std::string to_csv_line(const CellResult& result) {
  std::string line;
  bool is_first = true;
  for (const Column& column : cell_columns()) {
    if (!is_first) line += ',';
    is_first = false;
    line += std::visit([](const auto& value) { return field_of(value); }, column.get(result));
  }
  return line.append(kLineEnd);
}

CsvWriter::CsvWriter(const std::filesystem::path& file) : file_(file) {
  file_.append(csv_header());
}

void CsvWriter::write(const CellResult& result) { file_.append(to_csv_line(result)); }

}  // namespace maskerade
