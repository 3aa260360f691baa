#include "experiments/compare/program_run.hpp"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <deque>
#include <fstream>

#include "framework/base/error.hpp"

extern char** environ;

namespace maskerade::compare {
namespace {

constexpr std::size_t kLinesOfOutput = 5;
// How often is_stopped is asked.
constexpr useconds_t kLookMicroseconds = 2000;

std::string last_lines(const std::filesystem::path& file) {
  std::ifstream stream(file);
  std::deque<std::string> lines;
  for (std::string line; std::getline(stream, line);) {
    if (line.empty()) continue;
    lines.push_back(line);
    if (lines.size() > kLinesOfOutput) lines.pop_front();
  }
  std::string text;
  for (const std::string& line : lines) text += (text.empty() ? "" : "; ") + line;
  return text;
}

pid_t start(const std::string& program,
            const std::vector<std::string>& arguments,
            const std::filesystem::path& log) {
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, log.c_str(),
                                   O_WRONLY | O_CREAT | O_TRUNC, 0644);
  posix_spawn_file_actions_adddup2(&actions, STDOUT_FILENO, STDERR_FILENO);
  std::vector<std::string> texts = {program};
  texts.insert(texts.end(), arguments.begin(), arguments.end());
  std::vector<char*> pointers;
  for (std::string& text : texts) pointers.push_back(text.data());
  pointers.push_back(nullptr);
  pid_t process = -1;
  const int error =
      posix_spawnp(&process, program.c_str(), &actions, nullptr, pointers.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  if (error != 0) {
    throw ConfigError({.file = program}, std::string("cannot be started (") + std::strerror(error) +
                                             "); name the file of a maskerade program");
  }
  return process;
}

}  // namespace

ProgramEnd run_program(const std::string& program,
                       const std::vector<std::string>& arguments,
                       const std::filesystem::path& log,
                       const std::function<bool()>& is_stopped) {
  // A log that cannot be written must not look like a program that cannot be started.
  if (!std::ofstream(log)) throw ConfigError({.file = log.string()}, "cannot be written");
  const pid_t process = start(program, arguments, log);
  int status = 0;
  bool was_told = false;
  for (pid_t ended = 0; ended != process;) {
    ended = waitpid(process, &status, WNOHANG);
    if (ended < 0 && errno != EINTR) {
      throw Error(std::string("a program cannot be waited for: ") + std::strerror(errno));
    }
    if (ended == process) break;
    if (!was_told && is_stopped()) {
      kill(process, SIGTERM);
      was_told = true;
    }
    usleep(kLookMicroseconds);
  }
  ProgramEnd end;
  if (WIFSIGNALED(status)) {
    const char* name = sigabbrev_np(WTERMSIG(status));
    end.signal = name == nullptr ? std::to_string(WTERMSIG(status)) : std::string("SIG") + name;
  } else {
    end.exit_code = WEXITSTATUS(status);
  }
  end.output = last_lines(log);
  return end;
}

}  // namespace maskerade::compare
