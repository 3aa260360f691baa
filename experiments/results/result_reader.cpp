#include "experiments/results/result_reader.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <charconv>
#include <system_error>
#include <utility>

#include "experiments/results/columns.hpp"
#include "experiments/results/detail/cell_query.hpp"
#include "experiments/results/detail/results_file.hpp"
#include "experiments/results/detail/sqlite.hpp"
#include "framework/base/error.hpp"

namespace maskerade {
namespace {

namespace fs = std::filesystem;

using detail::CellQuery;
using detail::Database;
using detail::DatabaseFile;
using detail::FileAccess;
using detail::Transaction;
using detail::TransactionKind;

fs::path file_at(const fs::path& path) {
  std::error_code ignored;
  fs::path file = fs::is_directory(path, ignored) ? path / detail::kResultsFileName : path;
  if (!fs::exists(file, ignored)) {
    throw ConfigError({.file = file.string()},
                      "is not there; name the folder that a run was given with --out, or its "
                      "results.sqlite");
  }
  return file;
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

struct ResultReader::State {
  explicit State(const DatabaseFile& file) : opened(state_of(file.path)), database(file) {}

  // Gives what `read` gives of one state of the file.
  template <typename Read>
  auto read_at_once(Read&& read) {
    auto result = [&] {
      const Transaction transaction(database, TransactionKind::kRead);
      return read();
    }();
    if (database.access() == FileAccess::kImmutable && state_of(database.file()) != opened) {
      throw ConfigError({.file = database.file().string()},
                        "was written to while it was read; read it again");
    }
    return result;
  }

  FileState opened;
  Database database;
};

ResultReader::ResultReader(const fs::path& path) {
  DatabaseFile file{file_at(path), FileAccess::kRead};
  if (!has_side_file(file.path) && !can_write_beside(file.path)) {
    file.access = FileAccess::kImmutable;
  }
  detail::check_signature(file);
  state_ = std::make_unique<State>(file);
  if (!state_->read_at_once([&] { return detail::check_is_of_results(state_->database); })) {
    throw ConfigError({.file = file.path.string()},
                      "holds no results yet; wait until its run has begun");
  }
}
ResultReader::~ResultReader() = default;
ResultReader::ResultReader(ResultReader&&) noexcept = default;
ResultReader& ResultReader::operator=(ResultReader&&) noexcept = default;

const fs::path& ResultReader::file() const noexcept { return state_->database.file(); }

std::int64_t ResultReader::cell_count() const {
  return state_->read_at_once(
      [&] { return state_->database.integer("SELECT count(*) FROM cells"); });
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
  return state_->read_at_once([&] {
    std::vector<CellResult> cells;
    CellQuery query(state_->database, "ORDER BY cell IS NULL, cell, rowid");
    while (std::optional<CellResult> cell = query.next(is_wanted)) {
      cells.push_back(std::move(*cell));
    }
    return cells;
  });
}

std::optional<CellResult> ResultReader::find(const std::string& key) const {
  return state_->read_at_once([&] {
    CellQuery query(state_->database, "WHERE key = ?");
    query.bind(1, key);
    return query.next();
  });
}

}  // namespace maskerade
