#include "experiments/results/result_store.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>
#include <utility>
#include <vector>

#include "experiments/results/columns.hpp"
#include "experiments/results/detail/cell_query.hpp"
#include "experiments/results/detail/results_file.hpp"
#include "experiments/results/detail/sqlite.hpp"
#include "experiments/results/detail/table_sql.hpp"
#include "framework/base/error.hpp"
#include "framework/base/text.hpp"

namespace maskerade {
namespace {

using detail::CellQuery;
using detail::Database;
using detail::DatabaseFile;
using detail::Statement;
using detail::Transaction;

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

Database open_database(const std::filesystem::path& folder) {
  const DatabaseFile file{folder / detail::kResultsFileName};
  detail::check_signature(file);
  Database database(file);
  const bool has_tables = detail::check_is_of_results(database);
  database.run("PRAGMA journal_mode = WAL");
  // A finished cell outlives a loss of power, too.
  database.run("PRAGMA synchronous = FULL");
  database.run("PRAGMA foreign_keys = ON");
  if (!has_tables) detail::make_tables(database);
  return database;
}

// Makes the folder when it is missing, and gives the one that its database lies in.
// Rationale: the database may be a link to one in another folder.
std::filesystem::path make_database_folder(const std::filesystem::path& folder) {
  make_folder(folder);
  return std::filesystem::weakly_canonical(folder / detail::kResultsFileName).parent_path();
}

// The keys of the cells that this run has written or numbered.
Statement mark_statement(Database& database) {
  database.run("CREATE TEMP TABLE run_keys (key TEXT PRIMARY KEY) WITHOUT ROWID");
  return database.prepare("INSERT OR IGNORE INTO run_keys VALUES (?)");
}

}  // namespace

std::vector<std::filesystem::path> database_files(const std::filesystem::path& database) {
  std::vector<std::filesystem::path> files;
  for (const char* suffix : {"", "-wal", "-shm", "-journal"}) {
    files.push_back(detail::side_file(database, suffix));
  }
  return files;
}

struct ResultStore::State {
  explicit State(const std::filesystem::path& folder)
      : lock(make_database_folder(folder)),
        database(open_database(folder)),
        find(database, "WHERE key = ? AND status <> 'unavailable' AND dtype IS NOT NULL"),
        remove(database.prepare("DELETE FROM cells WHERE key = ?")),
        insert_cell(
            database.prepare(detail::insert_statement(detail::kCellsTable, cell_columns()))),
        insert_head(
            database.prepare(detail::insert_statement(detail::kHeadsTable, head_columns()))),
        insert_step(
            database.prepare(detail::insert_statement(detail::kStepsTable, step_columns()))),
        remove_without_data(database.prepare(
            "DELETE FROM cells WHERE dtype IS NULL AND experiment = ? AND workload = ? AND "
            "pipeline = ? AND device = ? AND kernel = ? AND mask_seed IS ?")),
        renumber(database.prepare("UPDATE cells SET cell = ? WHERE key = ? AND cell IS NOT ?")),
        mark(mark_statement(database)) {}

  FolderLock lock;
  Database database;
  CellQuery find;
  Statement remove;
  Statement insert_cell;
  Statement insert_head;
  Statement insert_step;
  Statement remove_without_data;
  Statement renumber;
  Statement mark;  // a key as one of this run
};

ResultStore::ResultStore(const std::filesystem::path& folder)
    : state_(std::make_unique<State>(folder)) {}
ResultStore::~ResultStore() = default;
ResultStore::ResultStore(ResultStore&&) noexcept = default;
ResultStore& ResultStore::operator=(ResultStore&&) noexcept = default;

std::filesystem::path ResultStore::file_of(const std::filesystem::path& folder) {
  return folder / detail::kResultsFileName;
}

const std::filesystem::path& ResultStore::file() const noexcept { return state_->database.file(); }

std::int64_t ResultStore::cell_count() const {
  return state_->database.integer("SELECT count(*) FROM cells");
}

std::optional<CellResult> ResultStore::find_finished(const std::string& key) const {
  CellQuery& find = state_->find;
  find.reset();
  find.bind(1, key);
  std::optional<CellResult> found = find.next();
  find.reset();
  return found;
}

void ResultStore::write(const CellResult& result) {
  Transaction transaction(state_->database);
  if (result.facts) {
    Statement& forget = state_->remove_without_data;
    int parameter = 0;
    for (const std::string* name :
         {&result.experiment, &result.workload, &result.pipeline, &result.device, &result.kernel}) {
      forget.bind(++parameter, storable(*name));  // as it is stored
    }
    forget.bind(++parameter, result.mask_seed ? ColumnValue(*result.mask_seed) : ColumnValue());
    forget.run();
  }
  state_->remove.bind(1, result.key);
  state_->remove.run();
  state_->mark.bind(1, result.key);
  state_->mark.run();
  detail::insert_record(state_->insert_cell, cell_columns(), result);
  for (const HeadResult& head : result.heads) {
    const std::int64_t layer = result.facts ? result.facts->layer : 0;
    detail::insert_record(state_->insert_head, head_columns(), HeadRow{result.key, layer, head});
  }
  for (const StepResult& step : result.steps) {
    detail::insert_record(state_->insert_step, step_columns(), StepRow{result.key, step});
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
