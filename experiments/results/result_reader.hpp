#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "experiments/results/cell_result.hpp"
#include "experiments/results/run_record.hpp"

namespace maskerade {

// That a column of cells holds a value, given as CSV has it: {"status", "failed"}; "" is what was
// not measured. A real number is compared as a number.
struct ColumnCondition {
  std::string column;
  std::string value;
};

// Which cells are read: those of which every condition holds.
struct CellFilter {
  std::vector<ColumnCondition> conditions = {};
  // Whether their heads, steps and samples are read, too. Rationale: a cell may have many thousand.
  bool with_parts = true;
};

// Reads the results of an output folder, FOLDER/results.sqlite and those of its shards,
// FOLDER/results.N.sqlite, as though they were one, and changes nothing in them. Runs may write
// them meanwhile: each call reads one state of a file, whole cells only, and a later call sees what
// was written since. What a killed run left is read, too.
//
// Rationale: SQLite reads a file in write-ahead mode with the help of two files beside it, -wal and
// -shm, which it makes, and leaves there, when they are missing. Where the folder cannot be written
// and no run has left a -wal, the file is opened as immutable, without them and without locks; then
// a call fails when it finds afterwards that the file was written to.
class ResultReader {
 public:
  // The folder, or one file. Of several files those whose runs have not made their tables yet are
  // passed over. Throws ConfigError, which says what would be right, when there is no such file,
  // none holds results yet, or one cannot be read, is not a database, or is of another program or
  // format.
  explicit ResultReader(const std::filesystem::path& path);
  ~ResultReader();
  ResultReader(ResultReader&&) noexcept;
  ResultReader& operator=(ResultReader&&) noexcept;

  // Those that are read, at least one.
  const std::vector<std::filesystem::path>& files() const noexcept;
  // One that several files hold counts in each.
  std::int64_t cell_count() const;

  // The cells: experiments in the order in which they came into the first file, the cells of each
  // by their numbers; then those without a number, by when they were written. A cell that several
  // files hold comes once, with its number if it has one in any. Throws ConfigError when a
  // condition names no column, or a cell cannot be read.
  std::vector<CellResult> cells(const CellFilter& filter = {}) const;
  // The cell of that key. Throws as cells().
  std::optional<CellResult> find(const std::string& key) const;
  // The cells that have begun and not ended, in that order. Throws as cells().
  std::vector<StartedCell> started() const;
  // The runs of each file, in the order in which they began. Throws as cells().
  std::vector<RunRecord> runs() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace maskerade
