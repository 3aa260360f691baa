#include "experiments/results/result_store.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <set>
#include <system_error>
#include <utility>
#include <vector>

#include "experiments/results/columns.hpp"
#include "experiments/results/detail/cell_query.hpp"
#include "experiments/results/detail/results_file.hpp"
#include "experiments/results/detail/run_locks.hpp"
#include "experiments/results/detail/sqlite.hpp"
#include "experiments/results/detail/table_sql.hpp"
#include "framework/base/error.hpp"
#include "framework/base/text.hpp"

namespace maskerade {
namespace {

using detail::CellParts;
using detail::CellQuery;
using detail::Database;
using detail::DatabaseFile;
using detail::RunLocks;
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

// Keeps other runs from opening the folder's results while this one does. Rationale: making the
// tables and going to write-ahead mode are several steps.
class OpeningLock {
 public:
  explicit OpeningLock(const std::filesystem::path& folder)
      : descriptor_(open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)) {
    // A file system without locks must not keep anyone from measuring.
    if (descriptor_ >= 0) flock(descriptor_, LOCK_EX);
  }
  ~OpeningLock() {
    if (descriptor_ >= 0) close(descriptor_);
  }
  OpeningLock(const OpeningLock&) = delete;
  OpeningLock& operator=(const OpeningLock&) = delete;

 private:
  int descriptor_;
};

// What is done with the rest of a transaction when power is lost: a finished cell outlives that,
// that a cell has begun need not, and does not wait for the disk.
enum class Durability { kFull, kNormal };

void set_durability(Database& database, Durability durability) {
  database.run(durability == Durability::kFull ? "PRAGMA synchronous = FULL"
                                               : "PRAGMA synchronous = NORMAL");
}

Database open_database(const std::filesystem::path& path, const StoreOptions& options) {
  const DatabaseFile file{path};
  detail::check_kind(file);
  Database database(file);
  database.wait_for_others(options.on_wait);
  const bool has_tables = detail::check_is_of_results(database);
  database.run("PRAGMA journal_mode = WAL");
  database.run("PRAGMA foreign_keys = ON");
  if (!has_tables) detail::make_tables(database);
  set_durability(database, Durability::kNormal);
  return database;
}

// Makes the folder when it is missing, and gives the one that its database lies in.
// Rationale: the database may be a link to one in another folder.
std::filesystem::path make_database_folder(const std::filesystem::path& folder,
                                           const std::filesystem::path& file) {
  make_folder(folder);
  return std::filesystem::weakly_canonical(file).parent_path();
}

// The keys of the cells that this run came to.
Statement mark_statement(Database& database) {
  database.run("CREATE TEMP TABLE run_keys (key TEXT PRIMARY KEY) WITHOUT ROWID");
  return database.prepare("INSERT OR IGNORE INTO run_keys VALUES (?)");
}

// A finished cell: its data was there, and it was possible to run it.
constexpr const char* kWhereFinished =
    "WHERE key = ? AND status <> 'unavailable' AND dtype IS NOT NULL";

// The next cell of a query with the one parameter `key`.
std::optional<CellResult> find_by_key(CellQuery& query, const std::string& key) {
  query.reset();
  query.bind(1, key);
  std::optional<CellResult> found = query.next();
  query.reset();
  return found;
}

}  // namespace

std::vector<std::filesystem::path> database_files(const std::filesystem::path& database) {
  std::vector<std::filesystem::path> files;
  for (const char* suffix : {"", "-wal", "-shm", "-journal", "-runs"}) {
    files.push_back(detail::side_file(database, suffix));
  }
  return files;
}

struct ResultStore::State {
  State(const std::filesystem::path& folder,
        const std::filesystem::path& file,
        const StoreOptions& options)
      : lock(std::make_unique<OpeningLock>(make_database_folder(folder, file))),
        database(open_database(file, options)),
        locks(std::filesystem::weakly_canonical(file), RunLocks::Use::kHold),
        find(database, kWhereFinished, CellParts::kAll),
        find_alone(database, kWhereFinished, CellParts::kNone),
        find_run(database.prepare("SELECT run FROM started WHERE key = ?")),
        remove(database.prepare("DELETE FROM cells WHERE key = ?")),
        end(database.prepare("DELETE FROM started WHERE key = ?")),
        insert_run(database.prepare(detail::insert_statement(detail::kRunsTable, run_columns()))),
        insert_started(
            database.prepare(detail::insert_statement(detail::kStartedTable, started_columns()))),
        insert_cell(
            database.prepare(detail::insert_statement(detail::kCellsTable, cell_columns()))),
        insert_head(
            database.prepare(detail::insert_statement(detail::kHeadsTable, head_columns()))),
        insert_step(
            database.prepare(detail::insert_statement(detail::kStepsTable, step_columns()))),
        insert_series(
            database.prepare(detail::insert_statement(detail::kSamplesTable, series_columns()))),
        remove_without_data(database.prepare(detail::kDeleteWithoutData)),
        renumber(database.prepare("UPDATE cells SET cell = ? WHERE key = ? AND cell IS NOT ?")),
        mark(mark_statement(database)) {
    lock.reset();
  }

  void mark_key(const std::string& key) {
    mark.bind(1, key);
    mark.run();
  }
  // The run that has begun the cell of that key.
  std::optional<std::int64_t> run_at(const std::string& key) {
    find_run.bind(1, key);
    const auto found = find_run.step() ? std::optional(find_run.integer(0)) : std::nullopt;
    find_run.reset();
    return found;
  }
  // Whether a result is of a run that had ended when this object's run began.
  bool is_earlier(std::optional<std::int64_t> of) const {
    return !of || (*of < run && !beside.contains(*of));
  }
  void end_cell(const std::string& key) {
    end.bind(1, key);
    end.run();
  }

  std::unique_ptr<OpeningLock> lock;  // while this object is made
  Database database;
  RunLocks locks;
  std::int64_t run = 0;
  std::set<std::int64_t> beside;  // the runs that lived when it began
  CellQuery find;
  CellQuery find_alone;
  Statement find_run;
  Statement remove;
  Statement end;
  Statement insert_run;
  Statement insert_started;
  Statement insert_cell;
  Statement insert_head;
  Statement insert_step;
  Statement insert_series;
  Statement remove_without_data;
  Statement renumber;
  Statement mark;
};

ResultStore::ResultStore(const std::filesystem::path& folder, const StoreOptions& options)
    : state_(std::make_unique<State>(folder, file_of(folder, options.shard), options)) {}
ResultStore::~ResultStore() = default;
ResultStore::ResultStore(ResultStore&&) noexcept = default;
ResultStore& ResultStore::operator=(ResultStore&&) noexcept = default;

std::filesystem::path ResultStore::file_of(const std::filesystem::path& folder,
                                           const std::optional<Shard>& shard) {
  return folder / detail::results_file_name(shard ? std::optional(shard->index) : std::nullopt);
}

std::vector<std::filesystem::path> ResultStore::files_in(const std::filesystem::path& folder) {
  return detail::results_files_in(folder);
}

const std::filesystem::path& ResultStore::file() const noexcept { return state_->database.file(); }

std::int64_t ResultStore::cell_count() const {
  return state_->database.integer("SELECT count(*) FROM cells");
}

std::int64_t ResultStore::cell_count(const std::string& experiment) const {
  std::int64_t count = 0;
  for (const char* table : {detail::kCellsTable, detail::kStartedTable}) {
    Statement counted = state_->database.prepare("SELECT count(*) FROM " + std::string(table) +
                                                 " WHERE experiment = ?");
    counted.bind(1, storable(experiment));
    if (counted.step()) count += counted.integer(0);
  }
  return count;
}

std::int64_t ResultStore::begin_run(const RunRecord& run) {
  Transaction transaction(state_->database);
  RunRecord numbered = run;
  numbered.run = state_->database.integer("SELECT coalesce(max(run), 0) + 1 FROM runs");
  detail::insert_record(state_->insert_run, run_columns(), numbered);
  // Before others can see the run.
  state_->locks.hold(numbered.run);
  state_->beside.clear();
  for (std::int64_t other = 1; other < numbered.run; ++other) {
    if (state_->locks.is_held(other)) state_->beside.insert(other);
  }
  transaction.commit();
  state_->run = numbered.run;
  return numbered.run;
}

std::optional<CellResult> ResultStore::find_finished(const std::string& key) const {
  return find_by_key(state_->find, key);
}

CellClaim ResultStore::claim(const StartedCell& begun, bool retries_failed) {
  State& state = *state_;
  const auto find = [&]() -> std::optional<CellResult> {
    std::optional<CellResult> found = find_by_key(state.find_alone, begun.key);
    const bool has_failed = found && found->status == CellStatus::kFailed;
    return has_failed && retries_failed && state.is_earlier(found->run) ? std::nullopt : found;
  };
  state.mark_key(begun.key);
  if (std::optional<CellResult> finished = find()) return {.finished = std::move(finished)};
  Transaction transaction(state.database);
  // Another process may have ended it since.
  if (std::optional<CellResult> finished = find()) return {.finished = std::move(finished)};
  const std::optional<std::int64_t> run = state.run_at(begun.key);
  const bool is_of_other = run && *run != state.run;
  if (is_of_other && state.locks.is_held(*run)) return {.is_taken = true};
  state.end_cell(begun.key);
  StartedCell mine = begun;
  mine.run = state.run;
  detail::insert_record(state.insert_started, started_columns(), mine);
  transaction.commit();
  return {.has_died = is_of_other};
}

void ResultStore::abandon(const std::string& key) {
  if (state_->run_at(key) == state_->run) state_->end_cell(key);
}

void ResultStore::write(const CellResult& result) {
  set_durability(state_->database, Durability::kFull);
  {
    Transaction transaction(state_->database);
    if (result.facts) {
      Statement& forget = state_->remove_without_data;
      int parameter = 0;
      for (const std::string* name : {&result.experiment, &result.workload, &result.pipeline,
                                      &result.device, &result.kernel}) {
        forget.bind(++parameter, storable(*name));  // as it is stored
      }
      forget.bind(++parameter, result.mask_seed ? ColumnValue(*result.mask_seed) : ColumnValue());
      forget.run();
    }
    state_->remove.bind(1, result.key);
    state_->remove.run();
    state_->end_cell(result.key);
    state_->mark_key(result.key);
    detail::insert_record(state_->insert_cell, cell_columns(), result);
    for (const HeadResult& head : result.heads) {
      const std::int64_t layer = result.facts ? result.facts->layer : 0;
      detail::insert_record(state_->insert_head, head_columns(), HeadRow{result.key, layer, head});
    }
    for (const StepResult& step : result.steps) {
      detail::insert_record(state_->insert_step, step_columns(), StepRow{result.key, step});
    }
    for (const StageSeries& series : result.samples) {
      detail::insert_record(state_->insert_series, series_columns(), SeriesRow{result.key, series});
    }
    transaction.commit();
  }
  set_durability(state_->database, Durability::kNormal);
}

void ResultStore::renumber(const std::string& key, std::int64_t cell) {
  state_->renumber.bind(1, cell);
  state_->renumber.bind(2, key);
  state_->renumber.bind(3, cell);
  state_->renumber.run();
  state_->mark_key(key);
}

std::int64_t ResultStore::finish_run(const std::string& experiment) {
  const auto bound = [&](const std::string& sql) {
    Statement statement = state_->database.prepare(sql);
    statement.bind(1, storable(experiment));
    return statement;
  };
  bound(
      "UPDATE cells SET cell = NULL WHERE experiment = ? AND cell IS NOT NULL AND key NOT IN "
      "(SELECT key FROM run_keys)")
      .run();
  // Cells that were begun by runs that have ended, and that this experiment does not have any more.
  std::vector<std::string> lost;
  Statement begun = bound(
      "SELECT key, run FROM started WHERE experiment = ? AND key NOT IN (SELECT key FROM "
      "run_keys)");
  while (begun.step()) {
    if (!state_->locks.is_held(begun.integer(1))) lost.push_back(begun.text(0));
  }
  begun.reset();
  for (const std::string& key : lost) state_->end_cell(key);
  Statement count = bound("SELECT count(*) FROM cells WHERE experiment = ? AND cell IS NULL");
  return count.step() ? count.integer(0) : 0;
}

}  // namespace maskerade
