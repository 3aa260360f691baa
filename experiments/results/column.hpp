#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <variant>

namespace maskerade {

// What a record holds in one column; monostate: not measured. JSON is held as its text.
using ColumnValue =
    std::variant<std::monostate, bool, std::int64_t, std::uint64_t, double, std::string>;

// A value as text: "true", "12", the shortest number that reads back as the same, "NaN", "inf",
// "-inf"; "" for what was not measured.
std::string text_of(const ColumnValue& value);

enum class ColumnType {
  kText,
  kBoolean,
  kInteger,
  kUnsigned,  // all 64 bits: a seed
  kReal,
  kJson,
};
std::string_view name_of(ColumnType type) noexcept;  // "text", "boolean", ..., "JSON"

// What a column is for its table of the database.
enum class ColumnRole {
  // The key of the cell that the row is or belongs to. It joins the tables; exports leave it out.
  kCellKey,
  // Never null; together with the cell's key it is the primary key of a table of parts of cells.
  kPosition,
  kValue,
};

// The one description of a column. The database's tables, the statements that write and read them,
// CSV, JSON and the tables in experiments/README.md follow from it. Record is what a row holds.
template <typename Record>
struct Column {
  std::string name;
  ColumnType type = ColumnType::kText;
  std::string unit;     // "ms", "bytes", "share" (1 is all), ...; empty: none
  std::string meaning;  // one plain sentence
  ColumnRole role = ColumnRole::kValue;
  std::function<ColumnValue(const Record&)> get;
  // Gives a record what get() gave. Where null stands in a part that was measured, a number was
  // NaN, and becomes NaN again once the part's other columns are set. Throws Error when the value
  // is none of the column's.
  std::function<void(Record&, const ColumnValue&)> set;
};

}  // namespace maskerade
