#include "experiments/results/detail/results_file.hpp"

#include <charconv>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <system_error>

#include "experiments/results/columns.hpp"
#include "experiments/results/detail/table_sql.hpp"
#include "framework/base/error.hpp"

namespace maskerade::detail {
namespace {

constexpr std::int64_t kApplicationId = 0x4D534B52;  // "MSKR"

template <typename Record>
void check_columns(const Database& database,
                   const char* table,
                   const std::vector<Column<Record>>& columns) {
  Statement select =
      database.prepare("SELECT name FROM pragma_table_info('" + std::string(table) + "')");
  std::set<std::string> names;
  while (select.step()) names.insert(select.text(0));
  for (const Column<Record>& column : columns) {
    if (names.contains(column.name)) continue;
    throw ConfigError({.file = database.file().string()},
                      "its table " + std::string(table) + " has no column " + column.name +
                          ", which results in format " + std::to_string(kResultsFormat) +
                          " have; " + remedy_of(database.access()));
  }
}

}  // namespace

std::string results_file_name(std::optional<std::int64_t> shard) {
  return shard ? "results." + std::to_string(*shard) + ".sqlite" : "results.sqlite";
}

std::vector<std::filesystem::path> results_files_in(const std::filesystem::path& folder) {
  std::map<std::int64_t, std::filesystem::path> files;  // by shard; 0 has none
  std::error_code ignored;
  if (std::filesystem::exists(folder / results_file_name(), ignored)) {
    files[0] = folder / results_file_name();
  }
  for (const auto& entry : std::filesystem::directory_iterator(folder, ignored)) {
    const std::string name = entry.path().filename().string();
    std::int64_t shard = 0;
    const std::string_view prefix = "results.";
    if (!name.starts_with(prefix)) continue;
    std::from_chars(name.data() + prefix.size(), name.data() + name.size(), shard);
    if (shard > 0 && name == results_file_name(shard)) files[shard] = entry.path();
  }
  std::vector<std::filesystem::path> paths;
  for (const auto& [shard, path] : files) paths.push_back(path);
  return paths;
}

std::filesystem::path side_file(const std::filesystem::path& database, const char* suffix) {
  std::filesystem::path file = database;
  return file += suffix;
}

// Rationale: SQLite takes a file of less than 512 bytes for an empty database and overwrites it;
// all of its own have more, or none. What a larger one is SQLite itself says, before it writes. The
// file is not opened here: closing it would let go of the locks that SQLite holds on it for another
// connection of this process.
void check_kind(const DatabaseFile& file) {
  std::error_code ignored;
  // Rationale: SQLite would wait for the other end of a pipe.
  for (const char* suffix : {"", "-wal", "-shm", "-journal"}) {
    const DatabaseFile part{side_file(file.path, suffix), file.access};
    if (std::filesystem::is_fifo(part.path, ignored)) refuse_no_database(part);
  }
  if (!std::filesystem::is_regular_file(file.path, ignored)) return;
  constexpr std::uintmax_t kLeastBytes = 512;
  const std::uintmax_t bytes = std::filesystem::file_size(file.path, ignored);
  if (bytes > 0 && bytes < kLeastBytes) refuse_no_database(file);
}

bool check_is_of_results(const Database& database) {
  const TextPosition position{.file = database.file().string()};
  const std::int64_t application = database.integer("PRAGMA application_id");
  const std::int64_t format = database.integer("PRAGMA user_version");
  const std::int64_t tables = database.integer("SELECT count(*) FROM sqlite_master");
  if (database.access() == FileAccess::kWrite && database.is_read_only()) {
    throw ConfigError(position,
                      "is read-only; make it and its folder writable, or name another folder with "
                      "--out");
  }
  if (application == 0 && format == 0 && tables == 0) return false;
  if (application != kApplicationId) {
    throw ConfigError(position,
                      "is a database of another program; " + remedy_of(database.access()));
  }
  if (format != kResultsFormat) {
    const bool writes = database.access() == FileAccess::kWrite;
    throw ConfigError(position, "holds results in format " + std::to_string(format) +
                                    "; this version of the program reads and writes format " +
                                    std::to_string(kResultsFormat) + "; " +
                                    (writes ? remedy_of(database.access())
                                            : "read it with the version that wrote it, or run the "
                                              "experiment again"));
  }
  check_columns(database, kCellsTable, cell_columns());
  check_columns(database, kHeadsTable, head_columns());
  check_columns(database, kStepsTable, step_columns());
  check_columns(database, kSamplesTable, series_columns());
  check_columns(database, kRunsTable, run_columns());
  check_columns(database, kStartedTable, started_columns());
  return true;
}

void make_tables(Database& database) {
  Transaction transaction(database);
  database.run(create_statement(kCellsTable, cell_columns()));
  database.run(create_statement(kHeadsTable, head_columns()));
  database.run(create_statement(kStepsTable, step_columns()));
  database.run(create_statement(kSamplesTable, series_columns()));
  database.run(create_statement(kRunsTable, run_columns()));
  database.run(create_statement(kStartedTable, started_columns()));
  // Rationale: every cell that is written looks for failures of its names that had no data.
  database.run(
      "CREATE INDEX cells_without_data ON cells (experiment, workload, pipeline) WHERE dtype IS "
      "NULL");
  database.run("PRAGMA application_id = " + std::to_string(kApplicationId));
  database.run("PRAGMA user_version = " + std::to_string(kResultsFormat));
  transaction.commit();
}

}  // namespace maskerade::detail
