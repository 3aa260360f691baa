#include "experiments/cli/commands.hpp"

#include <fmt/format.h>

#include <cstdio>
#include <cstdlib>
#include <sstream>
#include <system_error>

#include "experiments/config/scalars.hpp"
#include "experiments/measure/cache_file.hpp"
#include "experiments/measure/calibration.hpp"
#include "experiments/worker/library_probe.hpp"
#include "framework/base/standard_streams.hpp"
#include "framework/base/text.hpp"

namespace maskerade {
namespace {

// Writes "maskerade: KIND: MESSAGE" to stderr, each line of the message made printable. Rationale:
// only the lines of a ConfigExample are more than one.
void print_message(const char* kind, const std::string& message) {
  std::fflush(stdout);
  std::string text = fmt::format("maskerade: {}: ", kind);
  std::istringstream lines(message);
  for (std::string line; std::getline(lines, line);) text += printable(line) + "\n";
  write_message(stderr, text);
}

}  // namespace

std::filesystem::path program_folder() {
  return std::filesystem::read_symlink("/proc/self/exe").parent_path();
}

std::string plugin_path() {
  const char* path = std::getenv("MASKERADE_PLUGIN_PATH");
  return path == nullptr ? "" : path;
}

Catalog find_maskers(const std::vector<std::string>& files) {
  // Those beside the program are trusted: a process more takes longer than loading them.
  if (!files.empty() || !plugin_path().empty()) probe_libraries(files);
  return load_maskers(files);
}

Catalog load_maskers(const std::vector<std::string>& files) {
  return load_catalog(program_folder(), plugin_path(), {files.begin(), files.end()});
}

Catalog find_references(const std::vector<std::string>& files) {
  Catalog references;
  references.load_folder(program_folder() / "references", false);
  if (!files.empty()) probe_libraries(files);
  for (const std::string& file : files) references.load(file);
  return references;
}

PresetTable find_presets() {
  const std::filesystem::path file = program_folder() / "presets.yaml";
  std::error_code ignored;
  return std::filesystem::exists(file, ignored) ? PresetTable::read(file) : PresetTable();
}

void add_plugin_option(CLI::App& subcommand, std::vector<std::string>& files) {
  subcommand
      .add_option("--plugin", files, "Also load the maskers of this library; may be repeated")
      ->type_name("FILE")
      ->allow_extra_args(false)
      ->take_all();
}

double duration_ms(const std::string& option, const std::string& text) {
  const std::optional<double> ms = parse_duration_ms(text);
  if (ms) return *ms;
  throw ConfigError({}, fmt::format("{} {}: give a time above 0 with its unit, such as 60s or "
                                    "500ms",
                                    option, text));
}

CostModel find_costs(std::string& problem) {
  return CalibrationFile(cache_folder()).load(problem).value_or(CostModel::defaults());
}

void print_note(const std::string& message) { print_message("note", message); }

void print_error(const std::string& message) { print_message("error", message); }

}  // namespace maskerade
