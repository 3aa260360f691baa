#include <CLI/CLI.hpp>
#include <exception>
#include <filesystem>
#include <iostream>
#include <new>
#include <string>
#include <system_error>

#include "experiments/cli/commands.hpp"
#include "experiments/measure/machine.hpp"
#include "framework/base/error.hpp"
#include "framework/base/standard_streams.hpp"
#include "framework/base/text.hpp"

namespace maskerade {
namespace {

int run_program(int argc, char** argv) {
  CLI::App program(
      "Research framework for sparse attention: selects keys, attends to them, checks and times "
      "both.",
      "maskerade");
  program.set_version_flag("--version", "maskerade " + program_version());
  program.require_subcommand(1);
  program.footer(
      "Exit codes: 0 success, 1 a cell failed, 2 wrong command line, experiment, data or plugin, "
      "3 internal error, 130 interrupted. Output that cannot be written, messages included, gives "
      "2; "
      "cells that had ended are kept.");
  Command command;
  add_run_command(program, command);
  add_results_command(program, command);
  add_list_command(program, command);
  add_info_command(program, command);
  add_calibrate_command(program, command);
  add_show_command(program, command);
  add_compare_command(program, command);
  add_stress_command(program, command);
  add_check_command(program, command);
  add_new_command(program, command);
  add_worker_command(program, command);
  try {
    program.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) {  // --help, --version
      program.exit(error);
      std::cout.flush();
      finish_standard_output();
      return kExitOk;
    }
    print_error(on_one_line(error.what()) + "; see maskerade --help");
    return kExitBadInput;
  }
  const int code = command();
  // Rationale: on a full disk only the last write of the table fails.
  finish_standard_output();
  return code;
}

// Runs the program; every exception becomes a message and an exit code.
int guarded_run(int argc, char** argv) {
  try {
    return run_program(argc, argv);
  } catch (const ConfigError& error) {
    print_error(error.what());
  } catch (const ParameterError& error) {
    print_error(error.what());
  } catch (const DataError& error) {
    print_error(error.what());
  } catch (const ShapeError& error) {
    print_error(error.what());
  } catch (const PluginError& error) {
    print_error(error.what());
  } catch (const Error& error) {
    print_error(std::string(error.what()) + " (internal, at " + error.where().file_name() + ":" +
                std::to_string(error.where().line()) + ")");
    return kExitInternal;
  } catch (const std::filesystem::filesystem_error& error) {
    print_error(on_one_line(error.path1().empty() ? "the working folder" : error.path1().string()) +
                " cannot be used (" + error.code().message() +
                "); check that it, and the folder in which the program was started, are there and "
                "can be read");
  } catch (const std::system_error& error) {
    // fmt::print throws it.
    print_error("standard output cannot be written (" + error.code().message() +
                "); is the disk or the pipe full?");
  } catch (const std::bad_alloc&) {
    print_error("out of memory");
    return kExitInternal;
  } catch (const std::exception& error) {
    print_error(on_one_line(error.what()) + " (internal)");
    return kExitInternal;
  } catch (...) {
    print_error("an exception of unknown type (internal)");
    return kExitInternal;
  }
  return kExitBadInput;
}

}  // namespace
}  // namespace maskerade

int main(int argc, char** argv) {
  maskerade::guard_standard_streams();
  const int code = maskerade::guarded_run(argc, argv);
  const bool is_done = code == maskerade::kExitOk || code == maskerade::kExitFailed;
  return is_done && maskerade::has_lost_messages() ? maskerade::kExitBadInput : code;
}
