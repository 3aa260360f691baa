#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>

#include "experiments/results/columns.hpp"

struct sqlite3;
struct sqlite3_stmt;

namespace maskerade::detail {

// Throws the ConfigError of a file that is not a database.
[[noreturn]] void refuse_no_database(const std::filesystem::path& file);

// A prepared statement. Errors are those of its Database.
class Statement {
 public:
  // Parameters count from 1.
  void bind(int parameter, const ColumnValue& value);
  // Runs on; true: at a row.
  bool step();
  // Runs to the end, ready for the next use with other parameters.
  void run();
  void reset();

  // Of the row that step() stopped at; columns count from 0.
  ColumnValue value(int column, ColumnType type) const;
  std::int64_t integer(int column) const;
  std::string text(int column) const;

 private:
  friend class Database;
  Statement(sqlite3* database, const std::filesystem::path& file, const std::string& sql);

  std::unique_ptr<sqlite3_stmt, int (*)(sqlite3_stmt*)> statement_;
  sqlite3* database_;
  const std::filesystem::path* file_;
};

// A connection to an SQLite file. Every failure is a ConfigError that names the file.
class Database {
 public:
  // Makes the file when it is missing; changes nothing in one that is there.
  explicit Database(const std::filesystem::path& file);

  const std::filesystem::path& file() const noexcept { return *file_; }
  bool is_read_only() const;
  void run(const std::string& sql);
  std::int64_t integer(const std::string& sql);
  Statement prepare(const std::string& sql) const;

 private:
  std::unique_ptr<const std::filesystem::path> file_;  // outlives a move
  std::unique_ptr<sqlite3, int (*)(sqlite3*)> database_;
};

// What happens between its making and commit() is in the database whole or not at all.
class Transaction {
 public:
  explicit Transaction(Database& database);
  ~Transaction();
  Transaction(const Transaction&) = delete;
  Transaction& operator=(const Transaction&) = delete;
  void commit();

 private:
  Database& database_;
  bool is_open_ = true;
};

}  // namespace maskerade::detail
