#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

namespace maskerade::compare {

// How a program ended.
struct ProgramEnd {
  int exit_code = 0;
  std::string signal;  // that ended it: "SIGSEGV"; "": it exited
  std::string output;  // the last lines that it wrote to stdout and stderr, with "; " between
};

// Runs a program to its end, what it writes into the file log, which is replaced. A name without a
// slash is looked for on PATH. is_stopped: asked again and again; once it is true the program gets
// SIGTERM. Throws ConfigError when it cannot be started or the log cannot be written.
ProgramEnd run_program(const std::string& program,
                       const std::vector<std::string>& arguments,
                       const std::filesystem::path& log,
                       const std::function<bool()>& is_stopped);

}  // namespace maskerade::compare
