#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "experiments/results/cell_result.hpp"

namespace maskerade {

// The files that SQLite keeps for a database: itself, and those beside it while it is open or was
// left by a program that was killed.
std::vector<std::filesystem::path> database_files(const std::filesystem::path& database);

// Writes the results of one output folder, FOLDER/results.sqlite: a database in write-ahead mode,
// which a ResultReader may read meanwhile. Tables: `cells`, one row a cell, `cell` null where the
// latest whole run did not have it; `heads`, one row a layer, batch and query head of a cell;
// `steps`, one row a step of a decode trace. Their columns are those of columns.hpp. A cell is
// committed with its heads and steps, whole or not at all.
class ResultStore {
 public:
  // Opens the folder's results for writing, by this process alone; makes the folder and the file
  // when they are missing. Throws ConfigError, and changes nothing, when the folder cannot be made
  // or written, is in use by another run, or holds a file of that name that is not a database, not
  // one of results, or one of another format.
  explicit ResultStore(const std::filesystem::path& folder);
  ~ResultStore();
  ResultStore(ResultStore&&) noexcept;
  ResultStore& operator=(ResultStore&&) noexcept;

  // The database of that folder.
  static std::filesystem::path file_of(const std::filesystem::path& folder);

  const std::filesystem::path& file() const noexcept;
  std::int64_t cell_count() const;

  // The finished cell of that key with its heads and steps, read as a ResultReader reads it.
  // Finished are successful and failed cells; not those that were unavailable or whose data could
  // not be loaded: these are to be tried again. Throws ConfigError when the cell cannot be read.
  std::optional<CellResult> find_finished(const std::string& key) const;

  // Writes a cell in the place of one with its key. Once its data is there, forgets those of its
  // names whose data could not be loaded. Throws ConfigError when it cannot be written.
  void write(const CellResult& result);
  // Gives the cell of that key another number. Throws as write().
  void renumber(const std::string& key, std::int64_t cell);
  // Ends a run that has seen all its cells: takes the numbers of the cells that were neither
  // written nor renumbered since this object was made, those of other versions of the experiment,
  // its data or its plugins. Returns how many cells have no number. Throws as write().
  std::int64_t finish_run();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace maskerade
