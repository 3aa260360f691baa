#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "experiments/results/column.hpp"
#include "experiments/results/detail/sqlite.hpp"

// The statements of a table, from its list of columns.
namespace maskerade::detail {

// The type that SQLite is told. Unsigned columns have none: integers are stored as they are, those
// above 2^63 - 1 as text.
inline std::string_view sql_type(ColumnType type) {
  switch (type) {
    case ColumnType::kText:
    case ColumnType::kJson:
      return " TEXT";
    case ColumnType::kBoolean:
    case ColumnType::kInteger:
      return " INTEGER";
    case ColumnType::kUnsigned:
      return "";
    case ColumnType::kReal:
      return " REAL";
  }
  return "";
}

// "experiment", "workload", ...: quoted, with commas.
template <typename Record>
std::string quoted_names(const std::vector<Column<Record>>& columns) {
  std::string names;
  for (const Column<Record>& column : columns) {
    names += (names.empty() ? "\"" : ", \"") + column.name + "\"";
  }
  return names;
}

// CREATE TABLE, with unit and meaning of each column as its comment. A table without positions has
// a row a cell; the rows of any other belong to one of `cells` and go with it.
template <typename Record>
std::string create_statement(const std::string& table, const std::vector<Column<Record>>& columns) {
  std::string sql = "CREATE TABLE " + table + " (\n";
  std::string primary_key;
  bool has_positions = false;
  for (const Column<Record>& column : columns) {
    sql += "  \"" + column.name + "\"" + std::string(sql_type(column.type));
    if (column.role != ColumnRole::kValue) {
      sql += " NOT NULL";
      primary_key += (primary_key.empty() ? "" : ", ") + column.name;
      has_positions = has_positions || column.role == ColumnRole::kPosition;
    }
    sql += ",  -- " + (column.unit.empty() ? "" : column.unit + ": ") + column.meaning + "\n";
  }
  sql += "  PRIMARY KEY (" + primary_key + ")";
  if (!has_positions) return sql + "\n)";
  return sql + ",\n  FOREIGN KEY (key) REFERENCES cells (key) ON DELETE CASCADE\n) WITHOUT ROWID";
}

template <typename Record>
std::string insert_statement(const std::string& table, const std::vector<Column<Record>>& columns) {
  std::string values = "?";
  for (std::size_t i = 1; i < columns.size(); ++i) values += ", ?";
  return "INSERT INTO " + table + " (" + quoted_names(columns) + ") VALUES (" + values + ")";
}

// SELECT of every column; WHERE or ORDER BY may follow.
template <typename Record>
std::string select_statement(const std::string& table, const std::vector<Column<Record>>& columns) {
  return "SELECT " + quoted_names(columns) + " FROM " + table;
}

// Runs an INSERT of insert_statement for a record.
template <typename Record>
void insert_record(Statement& insert,
                   const std::vector<Column<Record>>& columns,
                   const Record& record) {
  int parameter = 0;
  for (const Column<Record>& column : columns) insert.bind(++parameter, column.get(record));
  insert.run();
}

// The row that a SELECT of select_statement stands at.
template <typename Record>
std::vector<ColumnValue> row_values(const Statement& select,
                                    const std::vector<Column<Record>>& columns) {
  std::vector<ColumnValue> values;
  for (const Column<Record>& column : columns) {
    values.push_back(select.value(static_cast<int>(values.size()), column.type));
  }
  return values;
}

}  // namespace maskerade::detail
