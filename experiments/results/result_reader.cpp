#include "experiments/results/result_reader.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <map>
#include <set>
#include <system_error>
#include <tuple>
#include <utility>

#include "experiments/results/columns.hpp"
#include "experiments/results/detail/cell_query.hpp"
#include "experiments/results/detail/results_file.hpp"
#include "experiments/results/detail/run_locks.hpp"
#include "experiments/results/detail/sqlite.hpp"
#include "experiments/results/detail/table_sql.hpp"
#include "framework/base/error.hpp"

namespace maskerade {
namespace {

namespace fs = std::filesystem;

using detail::CellParts;
using detail::CellQuery;
using detail::Database;
using detail::DatabaseFile;
using detail::FileAccess;
using detail::Statement;
using detail::Transaction;
using detail::TransactionKind;

std::vector<fs::path> files_at(const fs::path& path) {
  std::error_code ignored;
  const bool is_folder = fs::is_directory(path, ignored);
  std::vector<fs::path> files = {path};
  if (is_folder) files = detail::results_files_in(path);
  if (is_folder && files.empty()) files = {path / detail::results_file_name()};
  if (!fs::exists(files.front(), ignored)) {
    throw ConfigError({.file = files.front().string()},
                      "is not there; name the folder that a run was given with --out, or its "
                      "results.sqlite");
  }
  return files;
}

// Rationale: the file may be a link; SQLite keeps its own files beside what it leads to.
fs::path target_of(const fs::path& file) {
  std::error_code error;
  fs::path target = fs::canonical(file, error);
  return error ? file : target;
}

bool has_side_file(const fs::path& file) {
  std::error_code ignored;
  return fs::exists(detail::side_file(target_of(file), "-wal"), ignored) ||
         fs::exists(detail::side_file(target_of(file), "-journal"), ignored);
}

bool can_write_beside(const fs::path& file) {
  return faccessat(AT_FDCWD, fs::absolute(target_of(file)).parent_path().c_str(), W_OK,
                   AT_EACCESS) == 0;
}

// What tells whether a file was written to.
struct FileState {
  std::uintmax_t size_bytes = 0;
  fs::file_time_type written = {};
  bool has_side_file = false;

  bool operator==(const FileState&) const = default;
};

FileState state_of(const fs::path& file) {
  std::error_code ignored;
  return {fs::file_size(file, ignored), fs::last_write_time(file, ignored), has_side_file(file)};
}

bool holds(const ColumnCondition& condition,
           const Column<CellResult>& column,
           const CellResult& cell) {
  const ColumnValue value = column.get(cell);
  if (text_of(value) == condition.value) return true;
  const double* number = std::get_if<double>(&value);
  if (number == nullptr) return false;
  double wanted = 0;
  const char* const end = condition.value.data() + condition.value.size();
  const auto parsed = std::from_chars(condition.value.data(), end, wanted);
  return parsed.ec == std::errc() && parsed.ptr == end && wanted == *number;
}

}  // namespace

namespace {

// One of the files that are read.
class ReadFile {
 public:
  explicit ReadFile(const DatabaseFile& file) : opened_(state_of(file.path)), database_(file) {}

  const Database& database() const noexcept { return database_; }

  // Gives what `read` gives of one state of the file.
  template <typename Read>
  auto read_at_once(Read&& read) {
    auto result = [&] {
      const Transaction transaction(database_, TransactionKind::kRead);
      return read();
    }();
    if (database_.access() == FileAccess::kImmutable && state_of(database_.file()) != opened_) {
      throw ConfigError({.file = database_.file().string()},
                        "was written to while it was read; read it again");
    }
    return result;
  }

 private:
  FileState opened_;
  Database database_;
};

// Every row of a table, in the order of its key.
template <typename Record>
std::vector<Record> records_of(const Database& database,
                               const char* table,
                               const std::vector<Column<Record>>& columns) {
  Statement select = database.prepare(detail::select_statement(table, columns) + " ORDER BY rowid");
  std::vector<Record> records;
  while (select.step()) records.push_back(record_of(columns, detail::row_values(select, columns)));
  return records;
}

}  // namespace

struct ResultReader::State {
  // Gives, for each file in turn, what `read` gives of it.
  template <typename Read>
  void for_each_file(Read&& read) {
    for (const std::unique_ptr<ReadFile>& file : files) {
      file->read_at_once([&] {
        read(file->database());
        return true;
      });
    }
  }

  std::vector<std::unique_ptr<ReadFile>> files;
  std::vector<fs::path> paths;
};

ResultReader::ResultReader(const fs::path& path) : state_(std::make_unique<State>()) {
  const std::vector<fs::path> files = files_at(path);
  for (const fs::path& of_shard : files) {
    DatabaseFile file{of_shard, FileAccess::kRead};
    if (!has_side_file(file.path) && !can_write_beside(file.path)) {
      file.access = FileAccess::kImmutable;
    }
    detail::check_kind(file);
    auto opened = std::make_unique<ReadFile>(file);
    if (!opened->read_at_once([&] { return detail::check_is_of_results(opened->database()); })) {
      continue;
    }
    state_->files.push_back(std::move(opened));
    state_->paths.push_back(of_shard);
  }
  if (!state_->paths.empty()) return;
  throw ConfigError({.file = files.front().string()},
                    "holds no results yet; wait until its run has begun");
}
ResultReader::~ResultReader() = default;
ResultReader::ResultReader(ResultReader&&) noexcept = default;
ResultReader& ResultReader::operator=(ResultReader&&) noexcept = default;

const std::vector<fs::path>& ResultReader::files() const noexcept { return state_->paths; }

std::int64_t ResultReader::cell_count() const {
  std::int64_t count = 0;
  state_->for_each_file(
      [&](const Database& database) { count += database.integer("SELECT count(*) FROM cells"); });
  return count;
}

std::vector<CellResult> ResultReader::cells(const CellFilter& filter) const {
  std::vector<const Column<CellResult>*> columns;
  for (const ColumnCondition& condition : filter.conditions) {
    columns.push_back(&cell_column(condition.column));
  }
  const auto is_wanted = [&](const CellResult& cell) {
    for (std::size_t i = 0; i < columns.size(); ++i) {
      if (!holds(filter.conditions[i], *columns[i], cell)) return false;
    }
    return true;
  };
  std::vector<CellResult> cells;
  std::map<std::string, std::size_t> experiments;  // their places, by name
  state_->for_each_file([&](const Database& database) {
    Statement names =
        database.prepare("SELECT experiment FROM cells GROUP BY experiment ORDER BY min(rowid)");
    while (names.step()) experiments.emplace(names.text(0), experiments.size());
    CellQuery query(database, "ORDER BY cell IS NULL, cell, rowid",
                    filter.with_parts ? CellParts::kAll : CellParts::kNone);
    while (std::optional<CellResult> cell = query.next(is_wanted)) {
      cells.push_back(std::move(*cell));
    }
  });
  const auto place = [&](const CellResult& cell) {
    const bool has_none = cell.cell == CellResult::kNoNumber;
    return std::tuple(has_none, experiments.at(cell.experiment), cell.cell);
  };
  std::stable_sort(cells.begin(), cells.end(),
                   [&](const CellResult& a, const CellResult& b) { return place(a) < place(b); });
  std::set<std::string> seen;
  std::erase_if(cells, [&](const CellResult& cell) { return !seen.insert(cell.key).second; });
  return cells;
}

std::optional<CellResult> ResultReader::find(const std::string& key) const {
  std::optional<CellResult> found;
  state_->for_each_file([&](const Database& database) {
    if (found) return;
    CellQuery query(database, "WHERE key = ?", CellParts::kAll);
    query.bind(1, key);
    found = query.next();
  });
  return found;
}

std::vector<StartedCell> ResultReader::started() const {
  std::vector<StartedCell> started;
  state_->for_each_file([&](const Database& database) {
    const detail::RunLocks locks(target_of(database.file()), detail::RunLocks::Use::kAsk);
    for (StartedCell& cell : records_of(database, detail::kStartedTable, started_columns())) {
      cell.is_running = locks.is_held(cell.run);
      started.push_back(std::move(cell));
    }
  });
  return started;
}

std::vector<RunRecord> ResultReader::runs() const {
  std::vector<RunRecord> runs;
  state_->for_each_file([&](const Database& database) {
    for (RunRecord& run : records_of(database, detail::kRunsTable, run_columns())) {
      runs.push_back(std::move(run));
    }
  });
  return runs;
}

}  // namespace maskerade
