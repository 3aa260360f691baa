#include "experiments/compare/side.hpp"

#include <algorithm>
#include <fstream>
#include <string>
#include <string_view>
#include <system_error>

#include "experiments/results/cell_json.hpp"
#include "experiments/results/result_reader.hpp"
#include "experiments/results/result_store.hpp"
#include "framework/base/error.hpp"

namespace maskerade::compare {
namespace {

namespace fs = std::filesystem;

bool is_json_lines(const fs::path& path) { return path.extension() == ".jsonl"; }

// Whether a path is a file, and no database.
bool is_other_file(const fs::path& path) {
  std::error_code ignored;
  if (!fs::is_regular_file(path, ignored)) return false;
  constexpr std::string_view kDatabase = "SQLite format 3";
  std::string begin(kDatabase.size(), '\0');
  std::ifstream(path, std::ios::binary)
      .read(begin.data(), static_cast<std::streamsize>(begin.size()));
  return begin != kDatabase;
}

Run read_run(const fs::path& path, bool with_parts) {
  Run run = is_other_file(path)
                ? read_json_lines(path)
                : Run{ResultReader(path).cells({.conditions = {}, .with_parts = with_parts})};
  std::erase_if(run.cells,
                [](const CellResult& cell) { return cell.cell == CellResult::kNoNumber; });
  return run;
}

// What of a folder's entries are runs.
std::vector<fs::path> runs_in(const fs::path& folder) {
  std::vector<fs::path> runs;
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(folder, ignored)) {
    const bool is_run = entry.is_directory(ignored) ? !ResultStore::files_in(entry.path()).empty()
                                                    : is_json_lines(entry.path());
    if (is_run) runs.push_back(entry.path());
  }
  std::sort(runs.begin(), runs.end());
  return runs;
}

}  // namespace

Run read_json_lines(const fs::path& file) {
  std::ifstream stream(file);
  if (!stream) throw ConfigError({.file = file.string()}, "cannot be read");
  Run run;
  int number = 0;
  for (std::string line; std::getline(stream, line);) {
    ++number;
    try {
      run.cells.push_back(result_of_json_line(line));
    } catch (const ConfigError&) {
      throw;
    } catch (const Error& error) {
      throw ConfigError({.file = file.string(), .line = number},
                        std::string(error.what()) + "; name a file that run --json wrote");
    }
  }
  return run;
}

Side read_side(const fs::path& path) {
  std::error_code ignored;
  Side side{.name = path.string(), .runs = {}};
  const bool has_several = fs::is_directory(path, ignored) && ResultStore::files_in(path).empty();
  const std::vector<fs::path> runs = has_several ? runs_in(path) : std::vector{path};
  if (runs.empty()) {
    throw ConfigError({.file = path.string()},
                      "holds no results; name a folder that a run was given with --out, or one "
                      "of several such folders");
  }
  for (const fs::path& run : runs) side.runs.push_back(read_run(run, runs.size() == 1));
  return side;
}

}  // namespace maskerade::compare
