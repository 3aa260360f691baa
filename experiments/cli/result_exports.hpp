#pragma once

#include <CLI/App.hpp>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "experiments/results/csv_writer.hpp"
#include "experiments/results/json_lines_writer.hpp"

namespace maskerade {

// Where cells are exported to, as the command line says. Empty paths: not asked for.
struct ExportPaths {
  std::string json;
  std::string csv;
};

// Refuses an option's path that is empty.
// Rationale: an unset shell variable must not turn into results that nobody keeps.
CLI::Validator path_is_not_empty();

// Adds --json and --csv to a subcommand. `paths` must outlive the parsing.
void add_export_options(CLI::App& subcommand, ExportPaths& paths);

// A file that an export must not replace.
struct ProtectedFile {
  std::filesystem::path path;
  std::string reason;  // "is read by this run and would be replaced"
};

// Throws ConfigError when an export cannot be written, two are the same file, or one is protected;
// replaces nothing.
void check_exports(const ExportPaths& paths, const std::vector<ProtectedFile>& protected_files);

// The exports of cells.
class ResultExports {
 public:
  // Replaces the files. Throws ConfigError when one cannot be written.
  explicit ResultExports(const ExportPaths& paths);
  // Appends the cell to every export. Throws ConfigError when it cannot be written.
  void write(const CellResult& result);

 private:
  std::optional<JsonLinesWriter> json_;
  std::optional<CsvWriter> csv_;
};

}  // namespace maskerade
