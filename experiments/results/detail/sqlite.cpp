#include "experiments/results/detail/sqlite.hpp"

#include <sqlite3.h>

#include <charconv>
#include <chrono>
#include <limits>
#include <string_view>
#include <system_error>
#include <thread>
#include <utility>

#include "framework/base/error.hpp"

namespace maskerade::detail {
namespace {

constexpr int kBusyTimeoutMs = 10'000;
constexpr std::chrono::milliseconds kTimeBetweenTries(10);
constexpr int kTriesOfLongWait = 200;

[[noreturn]] void fail_reading(int status, const std::string& detail, const DatabaseFile& file) {
  const TextPosition position{.file = file.path.string()};
  switch (status & 0xff) {
    case SQLITE_CORRUPT:
      throw ConfigError(position, "is a damaged results database (" + detail +
                                      "); copy it again from where it was written, or run the "
                                      "experiment again");
    case SQLITE_CANTOPEN:
    case SQLITE_READONLY:
    case SQLITE_PERM:
      throw ConfigError(position,
                        "cannot be opened for reading; make it readable, or, where its folder "
                        "cannot be written, copy it with its -wal file to one that can");
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      throw ConfigError(position, "is locked by another program; try again when it has ended");
    default:
      throw ConfigError(position, "the database cannot be read (" + detail + ")");
  }
}

[[noreturn]] void fail_writing(int status, const std::string& detail, const DatabaseFile& file) {
  const TextPosition position{.file = file.path.string()};
  switch (status & 0xff) {
    case SQLITE_CORRUPT:
      throw ConfigError(position, "is a damaged results database (" + detail +
                                      "); name another folder with --out, or move the file away");
    case SQLITE_CANTOPEN:
      throw ConfigError(position,
                        "cannot be opened for writing; name another folder with --out, one that "
                        "can be written");
    case SQLITE_READONLY:
      throw ConfigError(position,
                        "is read-only; make it and its folder writable, or name another folder "
                        "with --out");
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      throw ConfigError(position,
                        "is locked by another program; close it there, or name another folder with "
                        "--out");
    case SQLITE_FULL:
    case SQLITE_IOERR:
      throw ConfigError(position, "a result could not be written (" + detail + ")");
    default:
      throw ConfigError(position, "the database cannot be used (" + detail + ")");
  }
}

[[noreturn]] void fail(sqlite3* database, int status, const DatabaseFile& file) {
  if ((status & 0xff) == SQLITE_NOTADB) refuse_no_database(file);
  const std::string detail =
      database == nullptr ? sqlite3_errstr(status) : sqlite3_errmsg(database);
  if (file.access == FileAccess::kWrite) fail_writing(status, detail, file);
  fail_reading(status, detail, file);
}

// The file as a URI, which alone can say that it is immutable.
std::string immutable_uri(const std::filesystem::path& file) {
  constexpr std::string_view kPlain =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~/";
  constexpr std::string_view kHexDigits = "0123456789ABCDEF";
  std::string uri = "file://";
  for (const char c : std::filesystem::absolute(file).string()) {
    const auto code = static_cast<unsigned char>(c);
    if (kPlain.find(c) != std::string_view::npos) {
      uri += c;
    } else {
      uri += {'%', kHexDigits[code / 16], kHexDigits[code % 16]};
    }
  }
  return uri + "?immutable=1";
}

}  // namespace

std::string remedy_of(FileAccess access) {
  return access == FileAccess::kWrite
             ? "name another folder with --out, or move the file away"
             : "name the folder that a run was given with --out, or its results.sqlite";
}

void refuse_no_database(const DatabaseFile& file) {
  throw ConfigError({.file = file.path.string()},
                    "is not a results database; " + remedy_of(file.access));
}

Statement::Statement(sqlite3* database, const DatabaseFile& file, const std::string& sql)
    : statement_(nullptr, sqlite3_finalize), database_(database), file_(&file) {
  sqlite3_stmt* statement = nullptr;
  const int status =
      sqlite3_prepare_v2(database, sql.c_str(), static_cast<int>(sql.size()), &statement, nullptr);
  statement_.reset(statement);
  if (status != SQLITE_OK) fail(database, status, file);
}

void Statement::bind(int parameter, const ColumnValue& value) {
  sqlite3_stmt* statement = statement_.get();
  const auto bind_text = [&](const std::string& text) {
    return sqlite3_bind_text64(statement, parameter, text.data(), text.size(), SQLITE_TRANSIENT,
                               SQLITE_UTF8);
  };
  struct Binder {
    sqlite3_stmt* statement;
    int parameter;
    decltype(bind_text)& text;

    int operator()(std::monostate) const { return sqlite3_bind_null(statement, parameter); }
    int operator()(bool held) const { return sqlite3_bind_int64(statement, parameter, held); }
    int operator()(std::int64_t held) const {
      return sqlite3_bind_int64(statement, parameter, held);
    }
    int operator()(std::uint64_t held) const {
      // Rationale: SQLite's integers are signed; it would turn larger ones into floating point.
      return held > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max())
                 ? text(std::to_string(held))
                 : sqlite3_bind_int64(statement, parameter, static_cast<std::int64_t>(held));
    }
    int operator()(double held) const { return sqlite3_bind_double(statement, parameter, held); }
    int operator()(const std::string& held) const { return text(held); }
  };
  const int status = std::visit(Binder{statement, parameter, bind_text}, value);
  if (status != SQLITE_OK) fail(database_, status, *file_);
}

bool Statement::step() {
  const int status = sqlite3_step(statement_.get());
  if (status == SQLITE_ROW) return true;
  if (status == SQLITE_DONE) return false;
  fail(database_, status, *file_);
}

void Statement::run() {
  while (step()) {
  }
  reset();
}

void Statement::reset() {
  sqlite3_reset(statement_.get());
  sqlite3_clear_bindings(statement_.get());
}

ColumnValue Statement::value(int column, ColumnType type) const {
  switch (sqlite3_column_type(statement_.get(), column)) {
    case SQLITE_NULL:
      return {};
    case SQLITE_INTEGER: {
      const std::int64_t number = integer(column);
      if (type == ColumnType::kBoolean && (number == 0 || number == 1)) return number == 1;
      if (type == ColumnType::kUnsigned && number >= 0) return static_cast<std::uint64_t>(number);
      if (type == ColumnType::kReal) return static_cast<double>(number);
      return number;
    }
    case SQLITE_FLOAT:
      return sqlite3_column_double(statement_.get(), column);
    default: {
      const std::string held = text(column);
      std::uint64_t number = 0;
      const char* const end = held.data() + held.size();
      const auto parsed = std::from_chars(held.data(), end, number);
      const bool is_number = parsed.ec == std::errc() && parsed.ptr == end;
      if (type == ColumnType::kUnsigned && is_number) return number;
      return held;
    }
  }
}

std::int64_t Statement::integer(int column) const {
  return sqlite3_column_int64(statement_.get(), column);
}

std::string Statement::text(int column) const {
  const auto* text = sqlite3_column_text(statement_.get(), column);
  const auto bytes = static_cast<std::size_t>(sqlite3_column_bytes(statement_.get(), column));
  return text == nullptr ? "" : std::string(reinterpret_cast<const char*>(text), bytes);
}

Database::Database(const DatabaseFile& file)
    : file_(std::make_unique<const DatabaseFile>(file)), database_(nullptr, sqlite3_close_v2) {
  sqlite3* database = nullptr;
  int status = SQLITE_OK;
  switch (file.access) {
    case FileAccess::kWrite:
      status = sqlite3_open_v2(file.path.c_str(), &database,
                               SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, nullptr);
      break;
    case FileAccess::kRead:
      status = sqlite3_open_v2(file.path.c_str(), &database, SQLITE_OPEN_READONLY, nullptr);
      break;
    case FileAccess::kImmutable:
      status = sqlite3_open_v2(immutable_uri(file.path).c_str(), &database,
                               SQLITE_OPEN_READONLY | SQLITE_OPEN_URI, nullptr);
      break;
  }
  database_.reset(database);
  if (status != SQLITE_OK) fail(database, status, file);
  sqlite3_extended_result_codes(database, 1);
  sqlite3_busy_timeout(database, kBusyTimeoutMs);
}

void Database::wait_for_others(std::function<void()> on_wait) {
  on_wait_ = std::make_unique<std::function<void()>>(std::move(on_wait));
  sqlite3_busy_handler(
      database_.get(),
      [](void* told, int tries) {
        if (tries == kTriesOfLongWait) (*static_cast<std::function<void()>*>(told))();
        std::this_thread::sleep_for(kTimeBetweenTries);
        return 1;
      },
      on_wait_.get());
}

bool Database::is_read_only() const { return sqlite3_db_readonly(database_.get(), "main") == 1; }

void Database::run(const std::string& sql) {
  const int status = sqlite3_exec(database_.get(), sql.c_str(), nullptr, nullptr, nullptr);
  if (status != SQLITE_OK) fail(database_.get(), status, *file_);
}

std::int64_t Database::integer(const std::string& sql) const {
  Statement statement = prepare(sql);
  return statement.step() ? statement.integer(0) : 0;
}

Statement Database::prepare(const std::string& sql) const {
  return Statement(database_.get(), *file_, sql);
}

Transaction::Transaction(Database& database, TransactionKind kind) : database_(database) {
  database_.run(kind == TransactionKind::kWrite ? "BEGIN IMMEDIATE" : "BEGIN");
}

Transaction::~Transaction() {
  if (!is_open_) return;
  try {
    database_.run("ROLLBACK");
  } catch (const Error&) {  // closing the connection rolls back
  }
}

void Transaction::commit() {
  database_.run("COMMIT");
  is_open_ = false;
}

}  // namespace maskerade::detail
