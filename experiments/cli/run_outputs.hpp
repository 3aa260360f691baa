#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "experiments/cli/result_exports.hpp"
#include "experiments/config/experiment.hpp"
#include "experiments/results/result_store.hpp"
#include "experiments/run/runner.hpp"

namespace maskerade {

// Where a run writes its results, as the command line says. "": this output is not asked for.
struct OutputPaths {
  std::string folder;               // --out: the folder of the results database
  bool resumes = false;             // --resume: the database may hold cells of an earlier run
  bool retries_failed = false;      // --retry-failed: those that failed are run again
  std::optional<Shard> shard = {};  // --shard: in whose file of the folder results are kept
  ExportPaths exports;              // --json and --csv
};

// The files that a run of an experiment reads: the experiment file, the data files of its
// workloads, the libraries of its maskers, and the files that their parameters name.
std::vector<std::filesystem::path> files_read_by(const Experiment& experiment);

// The outputs of a run: the results database, and the exports as JSON Lines and CSV.
class RunOutputs {
 public:
  // Opens the outputs. files_read: files_read_by() the experiment, which an export must not
  // replace. Throws ConfigError, before any file is replaced, when an output cannot be written,
  // when both exports are the same file or one is a file that the run reads, and when the database
  // holds cells of the experiment but the run does not resume.
  RunOutputs(const OutputPaths& paths,
             const std::vector<std::filesystem::path>& files_read,
             const RunRecord& run);

  // The results database; nullopt: none is asked for.
  const std::optional<ResultStore>& store() const noexcept { return store_; }

  // Begins a cell in the database. Requires store().
  JobClaim claim(const CellResult& described);
  // Gives up a cell that was begun.
  void abandon(const CellResult& begun);

  // Writes the result of a cell that this run finished to the database and the exports.
  void write(const CellResult& finished);
  // Writes the result of a cell that an earlier run finished to the exports. In the database, which
  // has it, the cell gets its number in this run.
  void keep(const CellResult& kept);
  // To be called after the last cell, unless the run was stopped or did not see all cells. Cells of
  // other versions of the experiment stay in the database but lose their numbers; returns how many
  // there are.
  std::int64_t finish();

 private:
  std::string experiment_;
  bool retries_failed_ = false;
  std::int64_t run_ = 0;
  std::optional<ResultStore> store_;
  std::optional<ResultExports> exports_;
};

}  // namespace maskerade
