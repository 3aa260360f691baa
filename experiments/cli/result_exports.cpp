#include "experiments/cli/result_exports.hpp"

#include <fmt/format.h>

#include <system_error>

#include "experiments/results/record_file.hpp"
#include "framework/base/error.hpp"

namespace maskerade {
namespace {

namespace fs = std::filesystem;

bool is_same_file(const fs::path& a, const fs::path& b) {
  std::error_code error;
  if (fs::equivalent(a, b, error) && !error) return true;
  return fs::weakly_canonical(fs::absolute(a), error) ==
         fs::weakly_canonical(fs::absolute(b), error);
}

void check_export(const std::string& path,
                  const char* option,
                  const std::vector<ProtectedFile>& protected_files) {
  if (path.empty()) return;
  for (const ProtectedFile& file : protected_files) {
    if (!is_same_file(path, file.path)) continue;
    throw ConfigError({.file = path},
                      fmt::format("{}; name another file with {}", file.reason, option));
  }
  RecordFile::check_writable(path);
}

}  // namespace

CLI::Validator path_is_not_empty() {
  return {[](const std::string& path) {
            return path.empty() ? "the path is empty; name a file or folder" : "";
          },
          ""};
}

void add_export_options(CLI::App& subcommand, ExportPaths& paths) {
  subcommand.add_option("--json", paths.json, "Write one JSON object a cell, line by line")
      ->type_name("FILE")
      ->check(path_is_not_empty());
  subcommand.add_option("--csv", paths.csv, "Write the same keys as a CSV table")
      ->type_name("FILE")
      ->check(path_is_not_empty());
}

void check_exports(const ExportPaths& paths, const std::vector<ProtectedFile>& protected_files) {
  if (!paths.json.empty() && !paths.csv.empty() && is_same_file(paths.json, paths.csv)) {
    throw ConfigError({.file = paths.csv}, "is named by both --json and --csv; name two files");
  }
  check_export(paths.json, "--json", protected_files);
  check_export(paths.csv, "--csv", protected_files);
}

ResultExports::ResultExports(const ExportPaths& paths) {
  if (!paths.json.empty()) json_.emplace(paths.json);
  if (!paths.csv.empty()) csv_.emplace(paths.csv);
}

void ResultExports::write(const CellResult& result) {
  if (json_) json_->write(result);
  if (csv_) csv_->write(result);
}

}  // namespace maskerade
