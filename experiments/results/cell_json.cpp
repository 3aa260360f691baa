#include "experiments/results/cell_json.hpp"

#include <cmath>
#include <nlohmann/json.hpp>

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

}  // namespace maskerade
