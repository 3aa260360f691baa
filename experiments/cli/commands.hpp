#pragma once

#include <CLI/App.hpp>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "attention/cost_model.hpp"
#include "experiments/config/preset_table.hpp"
#include "framework/plugin/catalog.hpp"

namespace maskerade {

// Exit codes of the program.
inline constexpr int kExitOk = 0;
inline constexpr int kExitFailed = 1;         // a cell or a check failed
inline constexpr int kExitBadInput = 2;       // command line, experiment, data or plugin files
inline constexpr int kExitInternal = 3;       // a fault of the program
inline constexpr int kExitInterrupted = 130;  // Ctrl-C

// What a command line asks for; gives the exit code.
using Command = std::function<int()>;

// Each adds one subcommand to the program. When the command line names it, parsing sets `command`,
// which must outlive the parsing.
void add_run_command(CLI::App& program, Command& command);
void add_list_command(CLI::App& program, Command& command);
void add_info_command(CLI::App& program, Command& command);
void add_calibrate_command(CLI::App& program, Command& command);
void add_results_command(CLI::App& program, Command& command);

// The folder that the program lies in.
std::filesystem::path program_folder();
// The folders that MASKERADE_PLUGIN_PATH names, separated by ':'; "" when it is not set.
std::string plugin_path();
// The maskers at hand; `files` are those of --plugin.
Catalog find_maskers(const std::vector<std::string>& files);
// The presets beside the program; none when the file is not there. Throws ConfigError.
PresetTable find_presets();
// Adds --plugin to a subcommand.
void add_plugin_option(CLI::App& subcommand, std::vector<std::string>& files);

// The stored calibration of this machine, else the default costs; `problem` says why one that is
// there cannot be used.
CostModel find_costs(std::string& problem);

// Writes "maskerade: note: <message>" to stderr.
void print_note(const std::string& message);
// Writes "maskerade: error: <message>" to stderr.
void print_error(const std::string& message);

}  // namespace maskerade
