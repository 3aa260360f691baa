#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "experiments/cli/result_exports.hpp"
#include "experiments/config/experiment.hpp"
#include "experiments/results/result_store.hpp"

namespace maskerade {

// Where a run leaves its results, as the command line says. Empty paths: not asked for.
struct OutputPaths {
  std::string folder;  // of the results database
  bool resumes = false;
  ExportPaths exports;
};

// The files that an experiment reads: its own, and those of its data and of its maskers.
std::vector<std::filesystem::path> files_read_by(const Experiment& experiment);

// The results database and the exports of a run.
class RunOutputs {
 public:
  // files_read: what an export must not replace. Throws ConfigError when one cannot be written, two
  // are the same file, one is read by the run, or when the database holds cells and the run does
  // not resume: nothing has been replaced then.
  RunOutputs(const OutputPaths& paths, const std::vector<std::filesystem::path>& files_read);

  const std::optional<ResultStore>& store() const noexcept { return store_; }

  // To the database and the exports.
  void write(const CellResult& finished);
  // To the exports; the database has it, and learns its number.
  void keep(const CellResult& kept);
  // After the last cell of a run that was not stopped. Returns how many cells of other versions of
  // the experiment the database holds.
  std::int64_t finish();

 private:
  std::optional<ResultStore> store_;
  std::optional<ResultExports> exports_;
};

}  // namespace maskerade
