#include "experiments/results/cell_message.hpp"

#include <cstdint>
#include <nlohmann/json.hpp>
#include <variant>
#include <vector>

#include "experiments/results/columns.hpp"

namespace maskerade {
namespace {

using Json = nlohmann::json;

template <typename Record>
Json json_of(const std::vector<Column<Record>>& columns, const Record& record) {
  Json values = Json::array();
  for (const Column<Record>& column : columns) {
    values.push_back(std::visit(
        [](const auto& value) {
          if constexpr (std::is_same_v<std::decay_t<decltype(value)>, std::monostate>) {
            return Json();
          } else {
            return Json(value);
          }
        },
        column.get(record)));
  }
  return values;
}

// Rationale: a positive number comes back unsigned, whatever it was.
ColumnValue value_of(const Json& value, ColumnType type) {
  if (value.is_null()) return {};
  switch (type) {
    case ColumnType::kText:
    case ColumnType::kJson:
      return value.get<std::string>();
    case ColumnType::kBoolean:
      return value.get<bool>();
    case ColumnType::kInteger:
      return value.get<std::int64_t>();
    case ColumnType::kUnsigned:
      return value.get<std::uint64_t>();
    case ColumnType::kReal:
      return value.get<double>();
  }
  return {};
}

template <typename Record>
Record record_of_json(const std::vector<Column<Record>>& columns, const Json& json) {
  std::vector<ColumnValue> values;
  for (std::size_t i = 0; i < columns.size(); ++i) {
    values.push_back(value_of(json.at(i), columns[i].type));
  }
  return record_of(columns, values);
}

}  // namespace

std::string cell_message(const CellResult& result) {
  Json heads = Json::array();
  for (const HeadResult& head : result.heads) {
    heads.push_back(json_of(head_columns(), HeadRow{.head = head}));
  }
  Json steps = Json::array();
  for (const StepResult& step : result.steps) {
    steps.push_back(json_of(step_columns(), StepRow{.step = step}));
  }
  Json samples = Json::array();
  for (const StageSeries& series : result.samples) {
    samples.push_back(json_of(series_columns(), SeriesRow{.series = series}));
  }
  std::string message;
  Json::to_msgpack(Json{{"cell", json_of(cell_columns(), result)},
                        {"heads", heads},
                        {"steps", steps},
                        {"samples", samples}},
                   message);
  return message;
}

CellResult result_of_message(const std::string& message) {
  try {
    const Json json = Json::from_msgpack(message);
    CellResult result = record_of_json(cell_columns(), json.at("cell"));
    for (const Json& head : json.at("heads")) {
      result.heads.push_back(record_of_json(head_columns(), head).head);
    }
    for (const Json& step : json.at("steps")) {
      result.steps.push_back(record_of_json(step_columns(), step).step);
    }
    for (const Json& series : json.at("samples")) {
      result.samples.push_back(record_of_json(series_columns(), series).series);
    }
    return result;
  } catch (const Json::exception& error) {
    throw Error(std::string("a result does not have the form of a message: ") + error.what());
  }
}

}  // namespace maskerade
