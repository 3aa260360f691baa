#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>

#include "experiments/results/column.hpp"

struct sqlite3;
struct sqlite3_stmt;

namespace maskerade::detail {

// What a connection may do with its file, and so what its errors advise.
enum class FileAccess {
  kWrite,      // reads and writes; makes the file when it is missing
  kRead,       // reads, also while another process writes
  kImmutable,  // reads a file that nobody writes, and takes no lock; see ResultReader
};

// A file and what is done with it.
struct DatabaseFile {
  std::filesystem::path path;
  FileAccess access = FileAccess::kWrite;
};

// What a user may do where a file is not one of results: write elsewhere, or read another.
std::string remedy_of(FileAccess access);

// Throws the ConfigError of a file that is not a database.
[[noreturn]] void refuse_no_database(const DatabaseFile& file);

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

  // Of the row that step() stopped at; columns count from 0. A value that is stored as another type
  // than the column's is given as what it is.
  ColumnValue value(int column, ColumnType type) const;
  std::int64_t integer(int column) const;
  std::string text(int column) const;

 private:
  friend class Database;
  Statement(sqlite3* database, const DatabaseFile& file, const std::string& sql);

  std::unique_ptr<sqlite3_stmt, int (*)(sqlite3_stmt*)> statement_;
  sqlite3* database_;
  const DatabaseFile* file_;
};

// A connection to an SQLite file. Every failure is a ConfigError that names the file.
class Database {
 public:
  // Changes nothing in a file that is there.
  explicit Database(const DatabaseFile& file);

  const std::filesystem::path& file() const noexcept { return file_->path; }
  FileAccess access() const noexcept { return file_->access; }
  // Whether the file refuses writing although kWrite was asked for.
  bool is_read_only() const;
  // Waits for as long as another program holds the file, in place of an error after ten seconds.
  // on_wait is called once in each wait that becomes long.
  void wait_for_others(std::function<void()> on_wait);
  void run(const std::string& sql);
  std::int64_t integer(const std::string& sql) const;
  Statement prepare(const std::string& sql) const;

 private:
  std::unique_ptr<const DatabaseFile> file_;        // outlives a move
  std::unique_ptr<std::function<void()>> on_wait_;  // the same
  std::unique_ptr<sqlite3, int (*)(sqlite3*)> database_;
};

// What a transaction is for.
enum class TransactionKind {
  kWrite,  // what happens before commit() is in the database whole or not at all
  kRead,   // everything is read from one state of the database, whatever others write meanwhile
};

// From its making to commit(), or to its end, which undoes what was written.
class Transaction {
 public:
  explicit Transaction(Database& database, TransactionKind kind = TransactionKind::kWrite);
  ~Transaction();
  Transaction(const Transaction&) = delete;
  Transaction& operator=(const Transaction&) = delete;
  void commit();

 private:
  Database& database_;
  bool is_open_ = true;
};

}  // namespace maskerade::detail
