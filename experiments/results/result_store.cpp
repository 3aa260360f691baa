#include "experiments/results/result_store.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <exception>
#include <fstream>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "experiments/results/columns.hpp"
#include "experiments/results/detail/sqlite.hpp"
#include "framework/base/error.hpp"

namespace maskerade {
namespace {

using detail::Database;
using detail::Statement;
using detail::Transaction;

constexpr const char* kFileName = "results.sqlite";
constexpr std::int64_t kApplicationId = 0x4D534B52;  // "MSKR"

constexpr const char* kHeadsTable = R"(
CREATE TABLE heads (
  key TEXT NOT NULL REFERENCES cells (key) ON DELETE CASCADE,
  layer INTEGER NOT NULL,
  batch INTEGER NOT NULL,
  head INTEGER NOT NULL,   -- query head
  density REAL,            -- active / visible entries
  recall REAL,             -- share of the dense softmax mass on keys selected for certain
  rel_l2_error REAL,       -- of the output against the dense reference
  route TEXT,              -- what selected for it in the pipeline's place; null: nothing did
  PRIMARY KEY (key, layer, batch, head)
) WITHOUT ROWID)";

constexpr const char* kStepsTable = R"(
CREATE TABLE steps (
  -- One row per step of a decode trace. A cell that is no decode trace has none.
  key TEXT NOT NULL REFERENCES cells (key) ON DELETE CASCADE,
  step INTEGER NOT NULL,   -- from 0
  key_len INTEGER,         -- keys present, the appended one included
  append_ms REAL,          -- times: medians over the step's repetitions
  select_ms REAL,
  plan_ms REAL,
  attend_ms REAL,
  dense_ms REAL,
  repetitions INTEGER,
  density REAL,            -- active / visible entries of all heads
  recall REAL,             -- share of the dense softmax mass on keys selected for certain
  rel_l2_error REAL,       -- of the output against the dense reference
  keys_scored INTEGER,
  select_bytes_read INTEGER,
  index_bytes INTEGER,     -- with the step's key
  kv_bytes_touched INTEGER,
  PRIMARY KEY (key, step)
) WITHOUT ROWID)";

const char* sql_type(ColumnType type) {
  switch (type) {
    case ColumnType::kText:
    case ColumnType::kJson:
      return "TEXT";
    case ColumnType::kBoolean:
    case ColumnType::kInteger:
      return "INTEGER";
    case ColumnType::kUnsigned:
      return "";  // integers as they are, those above 2^63 - 1 as text
    case ColumnType::kReal:
      return "REAL";
  }
  return "";
}

std::string cells_table() {
  std::string sql = "CREATE TABLE cells (\n  key TEXT PRIMARY KEY NOT NULL";
  for (const Column& column : cell_columns()) {
    sql += ",\n  \"" + column.name + "\" " + sql_type(column.type);
  }
  return sql + "\n)";
}

std::string quoted_columns() {
  std::string names;
  for (const Column& column : cell_columns()) {
    if (!names.empty()) names += ", ";
    names += "\"" + column.name + "\"";
  }
  return names;
}

std::string insert_cell() {
  std::string sql = "INSERT INTO cells (key, " + quoted_columns() + ") VALUES (?";
  for (std::size_t i = 0; i < cell_columns().size(); ++i) sql += ", ?";
  return sql + ")";
}

void make_folder(const std::filesystem::path& folder) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error) {
    throw ConfigError({.file = folder.string()}, "cannot be used as the output folder (" +
                                                     error.message() +
                                                     "); name another one with --out");
  }
}

// Holds a folder for this process; the system lets go of it when the process ends, however it does.
class FolderLock {
 public:
  explicit FolderLock(const std::filesystem::path& folder)
      : descriptor_(open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)) {
    if (descriptor_ < 0 || flock(descriptor_, LOCK_EX | LOCK_NB) == 0) return;
    const bool is_held = errno == EWOULDBLOCK;
    // Rationale: a file system without locks must not keep anyone from measuring.
    if (!is_held) return;
    close(descriptor_);
    throw ConfigError({.file = folder.string()},
                      "another run writes its results there; wait for it to end, or name another "
                      "folder with --out");
  }
  ~FolderLock() {
    if (descriptor_ >= 0) close(descriptor_);
  }
  FolderLock(const FolderLock&) = delete;
  FolderLock& operator=(const FolderLock&) = delete;

 private:
  int descriptor_;
};

// Rationale: SQLite takes a file of less than 512 bytes for an empty database and overwrites it.
void check_signature(const std::filesystem::path& file) {
  constexpr std::string_view kSignature("SQLite format 3\0", 16);
  std::error_code ignored;
  if (!std::filesystem::is_regular_file(file, ignored)) return;
  std::ifstream stream(file, std::ios::binary);
  std::string begin(kSignature.size(), '\0');
  stream.read(begin.data(), static_cast<std::streamsize>(begin.size()));
  const auto size = static_cast<std::size_t>(stream.gcount());
  if (stream.is_open() && size > 0 && std::string_view(begin).substr(0, size) != kSignature) {
    detail::refuse_no_database(file);
  }
}

// Refuses what is not ours; true when there is nothing yet.
bool check_is_new(Database& database) {
  const TextPosition position{.file = database.file().string()};
  const std::int64_t application = database.integer("PRAGMA application_id");
  const std::int64_t format = database.integer("PRAGMA user_version");
  const std::int64_t tables = database.integer("SELECT count(*) FROM sqlite_master");
  if (database.is_read_only()) {
    throw ConfigError(position,
                      "is read-only; make it and its folder writable, or name another folder with "
                      "--out");
  }
  if (application == 0 && format == 0 && tables == 0) return true;
  if (application != kApplicationId) {
    throw ConfigError(position,
                      "is a database of another program; name another folder with --out, or move "
                      "the file away");
  }
  if (format != ResultStore::kFormat) {
    throw ConfigError(position, "holds results in format " + std::to_string(format) +
                                    "; this version of the program reads and writes format " +
                                    std::to_string(ResultStore::kFormat) +
                                    "; name another folder with --out, or move the file away");
  }
  return false;
}

Database open_database(const std::filesystem::path& folder) {
  check_signature(folder / kFileName);
  Database database(folder / kFileName);
  const bool is_new = check_is_new(database);
  database.run("PRAGMA journal_mode = WAL");
  // A finished cell outlives a loss of power, too.
  database.run("PRAGMA synchronous = FULL");
  database.run("PRAGMA foreign_keys = ON");
  if (!is_new) return database;
  Transaction transaction(database);
  database.run(cells_table());
  database.run(kHeadsTable);
  database.run(kStepsTable);
  database.run("PRAGMA application_id = " + std::to_string(kApplicationId));
  database.run("PRAGMA user_version = " + std::to_string(ResultStore::kFormat));
  transaction.commit();
  return database;
}

void insert_row(Statement& insert, const std::vector<ColumnValue>& values) {
  int parameter = 0;
  for (const ColumnValue& value : values) insert.bind(++parameter, value);
  insert.run();
}

std::filesystem::path made(const std::filesystem::path& folder) {
  make_folder(folder);
  return folder;
}

}  // namespace

struct ResultStore::State {
  explicit State(const std::filesystem::path& folder)
      // Rationale: the database may be a link to one in another folder.
      : lock(std::filesystem::weakly_canonical(made(folder) / kFileName).parent_path()),
        database(open_database(folder)),
        find(database.prepare("SELECT " + quoted_columns() +
                              " FROM cells WHERE key = ? AND status <> 'unavailable' AND dtype IS "
                              "NOT NULL")),
        remove(database.prepare("DELETE FROM cells WHERE key = ?")),
        insert(database.prepare(insert_cell())),
        insert_head(database.prepare("INSERT INTO heads VALUES (?, ?, ?, ?, ?, ?, ?, ?)")),
        insert_step(database.prepare(
            "INSERT INTO steps VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)")),
        remove_without_data(database.prepare(
            "DELETE FROM cells WHERE dtype IS NULL AND experiment = ? AND workload = ? AND "
            "pipeline = ? AND device = ? AND kernel = ? AND mask_seed IS ?")),
        renumber(database.prepare("UPDATE cells SET cell = ? WHERE key = ? AND cell IS NOT ?")),
        mark(marked(database)) {}

  FolderLock lock;
  Database database;
  Statement find;
  Statement remove;
  Statement insert;
  Statement insert_head;
  Statement insert_step;
  Statement remove_without_data;
  Statement renumber;
  Statement mark;  // a key as one of this run

 private:
  static Statement marked(Database& database) {
    database.run("CREATE TEMP TABLE run_keys (key TEXT PRIMARY KEY) WITHOUT ROWID");
    return database.prepare("INSERT OR IGNORE INTO run_keys VALUES (?)");
  }
};

ResultStore::ResultStore(const std::filesystem::path& folder)
    : state_(std::make_unique<State>(folder)) {}
ResultStore::~ResultStore() = default;
ResultStore::ResultStore(ResultStore&&) noexcept = default;
ResultStore& ResultStore::operator=(ResultStore&&) noexcept = default;

std::vector<std::filesystem::path> ResultStore::files_of(const std::filesystem::path& folder) {
  std::vector<std::filesystem::path> files;
  for (const char* suffix : {"", "-wal", "-shm", "-journal"}) {
    files.push_back(folder / (std::string(kFileName) + suffix));
  }
  return files;
}

const std::filesystem::path& ResultStore::file() const noexcept { return state_->database.file(); }

std::int64_t ResultStore::cell_count() const {
  return state_->database.integer("SELECT count(*) FROM cells");
}

std::optional<CellResult> ResultStore::find_finished(const std::string& key) const {
  Statement& find = state_->find;
  find.reset();
  find.bind(1, key);
  if (!find.step()) return std::nullopt;
  std::vector<ColumnValue> values;
  for (const Column& column : cell_columns()) {
    values.push_back(find.value(static_cast<int>(values.size()), column.type));
  }
  find.reset();
  try {
    CellResult result = result_of(values);
    result.key = key;
    return result;
  } catch (const std::exception& error) {
    throw ConfigError({.file = file().string()},
                      "cell " + key + " cannot be read (" + error.what() +
                          "); delete it from the table cells, or name another folder with --out");
  }
}

void ResultStore::write(const CellResult& result) {
  Transaction transaction(state_->database);
  if (result.facts) {
    Statement& forget = state_->remove_without_data;
    int parameter = 0;
    for (const std::string* name :
         {&result.experiment, &result.workload, &result.pipeline, &result.device, &result.kernel}) {
      forget.bind(++parameter, *name);
    }
    forget.bind(++parameter, result.mask_seed ? ColumnValue(*result.mask_seed) : ColumnValue());
    forget.run();
  }
  state_->remove.bind(1, result.key);
  state_->remove.run();
  state_->mark.bind(1, result.key);
  state_->mark.run();
  Statement& insert = state_->insert;
  int parameter = 0;
  insert.bind(++parameter, result.key);
  for (const Column& column : cell_columns()) insert.bind(++parameter, column.get(result));
  insert.run();
  for (const HeadResult& head : result.heads) {
    const std::int64_t layer = result.facts ? result.facts->layer : 0;
    insert_row(state_->insert_head,
               {result.key, layer, head.batch, head.head, head.density, head.recall,
                head.rel_l2_error, head.route.empty() ? ColumnValue() : ColumnValue(head.route)});
  }
  const auto optional = [](const std::optional<double>& value) {
    return value ? ColumnValue(*value) : ColumnValue();
  };
  for (const StepResult& step : result.steps) {
    insert_row(state_->insert_step,
               {result.key, step.step, step.key_len, optional(step.append_ms),
                optional(step.select_ms), optional(step.plan_ms), step.attend_ms, step.dense_ms,
                step.repetitions, step.density, step.recall, step.rel_l2_error, step.keys_scored,
                step.select_bytes_read, step.index_bytes, step.kv_bytes_touched});
  }
  transaction.commit();
}

void ResultStore::renumber(const std::string& key, std::int64_t cell) {
  state_->renumber.bind(1, cell);
  state_->renumber.bind(2, key);
  state_->renumber.bind(3, cell);
  state_->renumber.run();
  state_->mark.bind(1, key);
  state_->mark.run();
}

std::int64_t ResultStore::finish_run() {
  state_->database.run("UPDATE cells SET cell = NULL WHERE key NOT IN (SELECT key FROM run_keys)");
  return state_->database.integer("SELECT count(*) FROM cells WHERE cell IS NULL");
}

}  // namespace maskerade
