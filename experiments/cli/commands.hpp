#pragma once

#include <CLI/App.hpp>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "attention/cpu/cost_model.hpp"
#include "experiments/config/preset_table.hpp"
#include "framework/plugin/catalog.hpp"

namespace maskerade {

// The exit codes of the program.
inline constexpr int kExitOk = 0;
inline constexpr int kExitFailed = 1;         // a cell failed
inline constexpr int kExitBadInput = 2;       // wrong command line, experiment, data or plugin file
inline constexpr int kExitInternal = 3;       // an error in the program itself
inline constexpr int kExitInterrupted = 130;  // the user pressed Ctrl-C

// Does what a command line asks for, and returns the exit code.
using Command = std::function<int()>;

// Each function adds one subcommand to the program. When the command line names that subcommand,
// parsing sets `command`. The references must stay valid until the parsing is done.
void add_run_command(CLI::App& program, Command& command);
void add_list_command(CLI::App& program, Command& command);
void add_info_command(CLI::App& program, Command& command);
void add_calibrate_command(CLI::App& program, Command& command);
void add_results_command(CLI::App& program, Command& command);
void add_show_command(CLI::App& program, Command& command);
void add_compare_command(CLI::App& program, Command& command);
void add_stress_command(CLI::App& program, Command& command);
void add_check_command(CLI::App& program, Command& command);
void add_new_command(CLI::App& program, Command& command);
void add_worker_command(CLI::App& program, Command& command);

// The folder of the running program's file.
std::filesystem::path program_folder();
// The value of the environment variable MASKERADE_PLUGIN_PATH, folders separated by ':'; "" when it
// is not set.
std::string plugin_path();
// Loads all maskers that can be found: beside the program, in the folders of plugin_path(), and in
// `files`, the libraries named by --plugin. Throws PluginError.
Catalog load_maskers(const std::vector<std::string>& files);
// The same, after probe_libraries() where there are others than those beside the program.
Catalog find_maskers(const std::vector<std::string>& files);
// Loads the plain references of maskers (see stress::GivenMasker), by the ids of these: those
// beside the program, in its folder `references`, and in `files`. Throws PluginError.
Catalog find_references(const std::vector<std::string>& files);
// Reads the presets from presets.yaml beside the program; there are none when that file is missing.
// Throws ConfigError.
PresetTable find_presets();
// Adds the option --plugin to a subcommand; parsing appends its values to `files`.
void add_plugin_option(CLI::App& subcommand, std::vector<std::string>& files);
// The milliseconds that the text of an option states: "60s", "500ms". Throws ConfigError.
double duration_ms(const std::string& option, const std::string& text);

// Returns the cost model that `maskerade calibrate` saved for this machine, or the default one.
// `problem` becomes the reason why a saved one cannot be used, else "".
CostModel find_costs(std::string& problem);

// Writes "maskerade: note: <message>" to stderr, and goes on where stderr takes no message.
void print_note(const std::string& message);
// The same of "maskerade: error: <message>".
void print_error(const std::string& message);

}  // namespace maskerade
