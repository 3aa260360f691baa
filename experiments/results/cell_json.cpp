#include "experiments/results/cell_json.hpp"

#include <cmath>
#include <nlohmann/json.hpp>
#include <vector>

#include "experiments/results/columns.hpp"

namespace maskerade {
namespace {

using Json = nlohmann::ordered_json;

Json json_of(double value) { return std::isfinite(value) ? Json(value) : Json(nullptr); }
template <typename Value>
Json json_of(const Value& value) {
  return value;
}
Json json_of(std::monostate) { return nullptr; }

ColumnValue value_of(const Json& json, ColumnType type) {
  if (json.is_null()) return {};
  switch (type) {
    case ColumnType::kText:
      return json.get<std::string>();
    case ColumnType::kBoolean:
      return json.get<bool>();
    case ColumnType::kInteger:
      return json.get<std::int64_t>();
    case ColumnType::kUnsigned:
      return json.get<std::uint64_t>();
    case ColumnType::kReal:
      return json.get<double>();
    case ColumnType::kJson:
      return json.dump();
  }
  return {};
}

}  // namespace

std::string to_json_line(const CellResult& result) {
  Json json;
  for (const Column<CellResult>& column : exported_columns()) {
    const ColumnValue value = column.get(result);
    const bool is_absent = std::holds_alternative<std::monostate>(value);
    json[column.name] = column.type == ColumnType::kJson && !is_absent
                            ? Json::parse(std::get<std::string>(value))
                            : std::visit([](const auto& held) { return json_of(held); }, value);
  }
  return json.dump();
}

CellResult result_of_json_line(const std::string& line) {
  std::vector<ColumnValue> values;
  try {
    const Json json = Json::parse(line);
    if (!json.is_object()) throw Error("a line of results is not a JSON object");
    for (const Column<CellResult>& column : cell_columns()) {
      const auto field = json.find(column.name);
      values.push_back(field == json.end() ? ColumnValue() : value_of(*field, column.type));
    }
  } catch (const Json::exception&) {
    throw Error("a line of results is not JSON, or a value in it is none of its column's");
  }
  return record_of(cell_columns(), values);
}

}  // namespace maskerade
