#include "experiments/cli/commands.hpp"

#include <fmt/format.h>

#include <cstdio>
#include <cstdlib>

#include "experiments/measure/cache_file.hpp"
#include "experiments/measure/calibration.hpp"

namespace maskerade {
namespace {

// Returns the text with control characters in the form \x1b. Rationale: a message may quote names
// from data files, and a terminal obeys control characters.
std::string printable(const std::string& text) {
  std::string printed;
  for (const char c : text) {
    const auto code = static_cast<unsigned char>(c);
    printed += (code < 0x20 && c != '\n') || code == 0x7F ? fmt::format("\\x{:02x}", code)
                                                          : std::string(1, c);
  }
  return printed;
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
  return load_catalog(program_folder(), plugin_path(), {files.begin(), files.end()});
}

PresetTable find_presets() {
  const std::filesystem::path file = program_folder() / "presets.yaml";
  return std::filesystem::exists(file) ? PresetTable::read(file) : PresetTable();
}

void add_plugin_option(CLI::App& subcommand, std::vector<std::string>& files) {
  subcommand
      .add_option("--plugin", files, "Also load the maskers of this library; may be repeated")
      ->type_name("FILE")
      ->allow_extra_args(false)
      ->take_all();
}

CostModel find_costs(std::string& problem) {
  return CalibrationFile(cache_folder()).load(problem).value_or(CostModel::defaults());
}

void print_note(const std::string& message) {
  std::fflush(stdout);
  fmt::print(stderr, "maskerade: note: {}\n", message);
}

void print_error(const std::string& message) {
  std::fflush(stdout);
  fmt::print(stderr, "maskerade: error: {}\n", printable(message));
}

}  // namespace maskerade
