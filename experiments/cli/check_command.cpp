#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "experiments/check/checked_library.hpp"
#include "experiments/check/verdict.hpp"
#include "experiments/cli/commands.hpp"
#include "experiments/cli/given_arguments.hpp"
#include "experiments/cli/run_outputs.hpp"
#include "experiments/cli/stop_signals.hpp"
#include "experiments/report/terminal.hpp"
#include "experiments/run/run_cell.hpp"
#include "framework/base/error.hpp"
#include "framework/base/standard_streams.hpp"
#include "framework/base/stopwatch.hpp"
#include "framework/base/text.hpp"

namespace maskerade {
namespace {

// The command line of `check`.
struct CheckArguments {
  std::vector<std::string> libraries;  // files, or ids of maskers that are found
  bool checks_all = false;
  std::int64_t cells = 40;
  std::uint64_t seed = 1;
  GivenArguments given;
  std::string folder;
  bool is_strict = false;
};

std::filesystem::path canonical(const std::string& path) {
  std::error_code ignored;
  return std::filesystem::weakly_canonical(path, ignored);
}

bool is_file(const std::string& library) {
  std::error_code ignored;
  return library.find('/') != std::string::npos || library.ends_with(".so") ||
         std::filesystem::exists(library, ignored);
}

// The files to check: those named, those of the maskers named, and those of all that are found.
// Throws ConfigError.
std::vector<std::string> files_of(const CheckArguments& arguments) {
  const std::vector<std::string>& named = arguments.libraries;
  if (!arguments.checks_all && std::all_of(named.begin(), named.end(), is_file)) return named;
  const Catalog catalog = find_maskers({});
  std::vector<std::string> files;
  for (const std::string& library : named) {
    const auto type = is_file(library) ? nullptr : catalog.find(library);
    if (type == nullptr && !is_file(library)) {
      throw ConfigError({}, fmt::format("there is no masker \"{}\"{}", library,
                                        catalog.hint_for(library, catalog.ids())));
    }
    files.push_back(type == nullptr ? library : type->library().string());
  }
  for (const auto& type : catalog.types()) {
    if (arguments.checks_all) files.push_back(type->library().string());
  }
  return files;
}

void show_progress(const std::string& file, const std::string& asked) {
  if (isatty(STDERR_FILENO) == 0) return;
  const std::string name = std::filesystem::path(file).filename().string();
  write_message(stderr,
                asked.empty() ? "\r\x1b[K" : fmt::format("\r\x1b[K{}: {}", printable(name), asked));
}

int check_libraries(const CheckArguments& arguments) {
  const std::vector<std::string> files = files_of(arguments);
  if (files.empty()) {
    throw ConfigError({},
                      "name a masker's library or id, or say --all: maskerade check my_band.so");
  }
  const stress::GivenOfCells given = given_of(arguments.given);
  if (files.size() > 1 && (!given.parameters.empty() || given.shape)) {
    throw ConfigError({}, "--set and --shape are about one library; name one alone");
  }
  if (!arguments.folder.empty()) std::filesystem::create_directories(arguments.folder);
  stop_on_signals();
  const TerminalStyle style = terminal_style(stdout);
  const Catalog beside = load_catalog(program_folder(), "", {});
  std::vector<check::Verdict> all;
  const Stopwatch stopwatch;
  for (const std::string& file : files) {
    check::CheckOptions options{.library = file,
                                .seed = arguments.seed,
                                .cells = arguments.cells,
                                .given = given,
                                .folder = arguments.folder};
    for (const auto& type : beside.types()) {
      if (type->library() != canonical(file)) {
        options.other_maskers[type->id()] = type->library().string();
      }
    }
    check::CheckedLibrary checked;
    try {
      checked = check::check_library(options, is_stop_requested,
                                     [&](const std::string& asked) { show_progress(file, asked); });
    } catch (const RunStopped&) {
      show_progress(file, "");
      return kExitInterrupted;
    }
    show_progress(file, "");
    fmt::print("{}\n{}", printable(checked.title),
               check::to_text(checked.verdicts, style.width, style.has_colors));
    std::fflush(stdout);
    all.insert(all.end(), checked.verdicts.begin(), checked.verdicts.end());
  }
  const std::size_t failed = check::count_of(all, check::VerdictKind::kFailed);
  const std::size_t warnings = check::count_of(all, check::VerdictKind::kWarning);
  fmt::print("{} librar{}, {}, {:.1f} s\n", files.size(), files.size() == 1 ? "y" : "ies",
             check::totals_text(all), stopwatch.elapsed_ms() / 1000);
  return failed > 0 || (arguments.is_strict && warnings > 0) ? kExitFailed : kExitOk;
}

}  // namespace

void add_check_command(CLI::App& program, Command& command) {
  const auto arguments = std::make_shared<CheckArguments>();
  CLI::App* check_command = program.add_subcommand(
      "check", "Check a masker's library against every rule of the SDK, for its author");
  check_command
      ->add_option("library", arguments->libraries,
                   "Libraries (my_band.so), or names of maskers that are found (quest)")
      ->type_name("LIBRARY");
  check_command->add_flag("--all", arguments->checks_all, "Check all maskers that are found");
  check_command->add_option("--cells", arguments->cells, "Ask of that many random cells [40]")
      ->type_name("N")
      ->check(CLI::Range(std::int64_t{1}, std::int64_t{1} << 40).description(""));
  check_command
      ->add_option("--seed", arguments->seed, "The cells are those of stress with this seed [1]")
      ->type_name("S");
  add_given_options(*check_command, arguments->given);
  check_command
      ->add_option("--out", arguments->folder,
                   "Write the experiment files of what fails to DIR, a folder for each masker")
      ->type_name("DIR")
      ->check(path_is_not_empty());
  check_command->add_flag("--strict", arguments->is_strict, "A warning fails the check, too");
  check_command->footer(
      "Each line is a verdict: ok, warning, FAILED or not asked; what was asked; why; the rule. "
      "Exit codes: 0 nothing failed, 1 something did, 2 wrong command line or no such library.\n"
      "Example: maskerade check build/my_band.so");
  check_command->callback(
      [arguments, &command] { command = [arguments] { return check_libraries(*arguments); }; });
}

}  // namespace maskerade
