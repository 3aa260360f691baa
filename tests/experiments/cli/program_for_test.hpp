#pragma once

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <regex>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

namespace maskerade {

// How the program ended, and what it wrote to stdout and stderr.
struct ProgramResult {
  int exit_code = -1;
  std::string out;
  std::string err;
};

// What a run prints, without how many cells are noisy, which depends on the machine.
inline std::string without_noise(const std::string& out) {
  return std::regex_replace(out, std::regex(" \\([0-9]+ noisy\\)"), "");
}

// Runs the program in a temporary folder of its own, with a cache folder in it.
class Program : public testing::Test {
 protected:
  Program() {
    const auto* test = testing::UnitTest::GetInstance()->current_test_info();
    folder_ = std::filesystem::path(testing::TempDir()) /
              ("maskerade_program_" + std::to_string(getpid()) + "_" + test->name());
    std::filesystem::remove_all(folder_);
    std::filesystem::create_directories(folder_);
  }
  ~Program() override { std::filesystem::remove_all(folder_); }

  // Writes a file in the folder; returns its path.
  std::string write(const std::string& name, const std::string& text) const {
    std::ofstream(folder_ / name) << text;
    return (folder_ / name).string();
  }
  std::string read(const std::string& name) const {
    std::ostringstream text;
    text << std::ifstream(folder_ / name).rdbuf();
    return text.str();
  }
  // Runs the program to its end. environment: assignments for the shell, such as "A=1 B=2". out:
  // the file that stdout goes to. The subcommand `run` measures the machine's peaks, which takes
  // longer than tiny cells, only if measures_peaks_ is set.
  ProgramResult run(std::string arguments,
                    const std::string& environment = "",
                    const std::string& out = "out.txt") const {
    if (arguments.starts_with("run ") && !measures_peaks_) arguments += " --no-peaks";
    // Rationale: a calibration in the user's cache folder must not be used.
    const std::string command =
        "cd '" + folder_.string() + "' && XDG_CACHE_HOME='" + folder_.string() + "/cache' " +
        environment + " '" + MASKERADE_TEST_PROGRAM + "' " + arguments + " >" + out + " 2>err.txt";
    const int status = std::system(command.c_str());
    return {WIFEXITED(status) ? WEXITSTATUS(status) : -1, read("out.txt"), read("err.txt")};
  }
  // Starts the program and returns its process id, without waiting for its end.
  pid_t start(const std::vector<std::string>& arguments) const {
    std::vector<char*> argv = {const_cast<char*>(MASKERADE_TEST_PROGRAM)};
    for (const std::string& argument : arguments) {
      argv.push_back(const_cast<char*>(argument.c_str()));
    }
    argv.push_back(nullptr);
    const std::string out = (folder_ / "out.txt").string();
    const std::string err = (folder_ / "err.txt").string();
    const pid_t child = fork();
    if (child == 0) {
      if (chdir(folder_.c_str()) == 0 && std::freopen(out.c_str(), "w", stdout) != nullptr &&
          std::freopen(err.c_str(), "w", stderr) != nullptr) {
        execv(argv[0], argv.data());
      }
      _exit(127);
    }
    return child;
  }
  // Waits until holds(), or until a program of start() has ended, whichever comes first.
  template <typename Condition>
  static void await(pid_t child, const Condition& holds) {
    const auto has_ended = [child] {
      siginfo_t state{};
      return waitid(P_PID, static_cast<id_t>(child), &state, WEXITED | WNOHANG | WNOWAIT) != 0 ||
             state.si_pid == child;
    };
    while (!holds() && !has_ended()) usleep(10'000);
  }
  // Waits until a file that a program of start() writes holds a whole line.
  void await_line(pid_t child, const std::string& name) const {
    await(child, [&] { return read(name).find('\n') != std::string::npos; });
  }
  // Waits for the end of a process; returns its exit code, or -1 if a signal ended it.
  static int wait_for(pid_t child) {
    int status = 0;
    waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }
  // The objects of a file in JSON Lines.
  std::vector<nlohmann::json> json_lines(const std::string& name) const {
    std::vector<nlohmann::json> lines;
    std::istringstream stream(read(name));
    for (std::string line; std::getline(stream, line);)
      lines.push_back(nlohmann::json::parse(line));
    return lines;
  }

  // The cell of a pipeline in a file that --json wrote. Throws std::out_of_range, which fails the
  // test, unless there is exactly one.
  nlohmann::json cell_of(const std::string& name, const std::string& pipeline) const {
    std::vector<nlohmann::json> found;
    for (const nlohmann::json& cell : json_lines(name)) {
      if (cell.at("pipeline") == pipeline) found.push_back(cell);
    }
    if (found.size() != 1) throw std::out_of_range(name + " has not one cell of " + pipeline);
    return found.front();
  }

  std::filesystem::path folder_;
  bool measures_peaks_ = false;
};

// An experiment of four cells that take milliseconds.
inline constexpr const char* kTiny = R"(name: tiny
workload: {source: {kind: gaussian, seed: 1}, query_heads: 4, kv_heads: 2, query_len: 32,
           key_len: 80, head_dim: 16, dtype: float16, causal: true}
pipelines:
  streaming: [{sink: 4}, {local: 8}]
  topk: [{sink: 4}, {oracle_topk: {budget: {sweep: [5%, 100%]}}}]
measure: {target: 20%, budget: 20ms}
)";

}  // namespace maskerade
