#pragma once

#include <optional>
#include <string>

#include "experiments/results/csv_writer.hpp"
#include "experiments/results/json_lines_writer.hpp"
#include "experiments/results/result_store.hpp"

namespace maskerade {

// Where a run leaves its results, as the command line says. Empty paths: not asked for.
struct OutputPaths {
  std::string folder;  // of the results database
  bool resumes = false;
  std::string json;
  std::string csv;
};

// The results database and the exports of a run.
class RunOutputs {
 public:
  // Throws ConfigError when one cannot be written, or when the database holds cells and the run
  // does not resume: nothing has been replaced then.
  explicit RunOutputs(const OutputPaths& paths);

  const std::optional<ResultStore>& store() const noexcept { return store_; }

  // To the database and the exports.
  void write(const CellResult& finished);
  // To the exports; the database has it, and learns its number.
  void keep(const CellResult& kept);

 private:
  void write_exports(const CellResult& result);

  std::optional<ResultStore> store_;
  std::optional<JsonLinesWriter> json_;
  std::optional<CsvWriter> csv_;
};

}  // namespace maskerade
