#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "experiments/results/cell_result.hpp"
#include "experiments/results/run_record.hpp"

namespace maskerade {

// The files that SQLite and a run keep for a database: itself, and those beside it while it is open
// or was left by a program that was killed.
std::vector<std::filesystem::path> database_files(const std::filesystem::path& database);

// One of several parts of an experiment, whose cells are run by processes that need not share a
// file system: number `index`, from 1, of `count`.
struct Shard {
  std::int64_t index = 1;
  std::int64_t count = 1;
};

struct StoreOptions {
  std::optional<Shard> shard = {};  // whose file is written
  // Called once in each wait for another program that holds the file, when the wait becomes long.
  std::function<void()> on_wait = [] {};
};

// What a run is to do with a cell that it comes to.
struct CellClaim {
  // The cell's result in an earlier run, without its parts; then nothing is to be done.
  std::optional<CellResult> finished = {};
  // Another process is at it; the same.
  bool is_taken = false;
  // A run that had begun the cell ended before it.
  bool has_died = false;
};

// Writes the results of one output folder: FOLDER/results.sqlite, or FOLDER/results.INDEX.sqlite of
// a shard. It is a database in write-ahead mode, which several processes of one machine may write,
// and a ResultReader may read, at the same time. Tables: `cells`, one row a finished cell, `cell`
// null where the latest whole run did not have it; `heads`, one row a layer, batch and query head
// of a cell; `steps`, one row a step of a decode trace; `samples`,
// one row a stage of a cell; `started`, one row a cell that has begun
// and not ended; `runs`, one row a run. Their columns are those of columns.hpp. A cell is committed
// with its heads, steps and samples, whole or not at all.
class ResultStore {
 public:
  // Opens the folder's results for writing; makes the folder and the file when they are missing.
  // Throws ConfigError, and changes nothing, when the folder cannot be made or written, or holds a
  // file of that name that is not a database, not one of results, or one of another format.
  explicit ResultStore(const std::filesystem::path& folder, const StoreOptions& options = {});
  ~ResultStore();
  ResultStore(ResultStore&&) noexcept;
  ResultStore& operator=(ResultStore&&) noexcept;

  // The database of that folder.
  static std::filesystem::path file_of(const std::filesystem::path& folder,
                                       const std::optional<Shard>& shard = {});

  // The databases that are in that folder: the one without a shard first, then by shard.
  static std::vector<std::filesystem::path> files_in(const std::filesystem::path& folder);

  const std::filesystem::path& file() const noexcept;
  std::int64_t cell_count() const;
  // The cells of an experiment, finished or begun.
  std::int64_t cell_count(const std::string& experiment) const;

  // Writes a run, and makes it this object's: its cells are begun in its name. Returns its number.
  // Throws as write().
  std::int64_t begin_run(const RunRecord& run);

  // The finished cell of that key with its parts, read as a ResultReader reads it.
  // Finished are successful and failed cells; not those that were unavailable or whose data could
  // not be loaded: these are to be tried again. Throws ConfigError when the cell cannot be read.
  std::optional<CellResult> find_finished(const std::string& key) const;

  // Begins a cell: unless it is finished, or a living run is at it, a row says from now on that
  // this object's run is. retries_failed: a cell that failed counts as not finished, unless it
  // failed in a run that had not ended when this object's began: runs that retry at once share the
  // failures. Throws as write(), or when the cell cannot be read.
  CellClaim claim(const StartedCell& begun, bool retries_failed = false);
  // Gives up a cell that this object's run has begun: it is neither finished nor begun any more.
  // One of another run stays as it is. Throws as write().
  void abandon(const std::string& key);

  // Writes a cell in the place of one with its key, and forgets that it was begun. Once its data is
  // there, forgets those of its names whose data could not be loaded. Throws ConfigError when it
  // cannot be written.
  void write(const CellResult& result);
  // Gives the cell of that key another number. Throws as write().
  void renumber(const std::string& key, std::int64_t cell);
  // Ends a run that has seen all cells of an experiment: takes the numbers of those of its cells
  // that were neither claimed, written nor renumbered since this object was made; they are of other
  // versions of the experiment, its data or its plugins. Forgets which of those ended runs had
  // begun. Returns how many cells of the experiment have no number. Throws as write().
  std::int64_t finish_run(const std::string& experiment);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace maskerade
