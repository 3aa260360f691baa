#include "experiments/worker/own_program.hpp"

#include <fmt/format.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>

#include "framework/base/error.hpp"

extern char** environ;

namespace maskerade {

pid_t execute_own_program(const std::vector<std::string>& arguments,
                          const std::vector<int>& inherited) {
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, STDERR_FILENO, STDOUT_FILENO);
  // Duplicating a descriptor to itself makes it one that is inherited.
  for (const int descriptor : inherited) {
    posix_spawn_file_actions_adddup2(&actions, descriptor, descriptor);
  }
  std::vector<std::string> texts = {"maskerade"};
  texts.insert(texts.end(), arguments.begin(), arguments.end());
  std::vector<char*> pointers;
  for (std::string& text : texts) pointers.push_back(text.data());
  pointers.push_back(nullptr);
  pid_t process = -1;
  const int error =
      posix_spawn(&process, "/proc/self/exe", &actions, nullptr, pointers.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  if (error != 0) {
    throw Error(std::string("the program cannot start a process: ") + std::strerror(error));
  }
  return process;
}

std::string ending_text(int status) {
  if (!WIFSIGNALED(status)) return fmt::format("exited with status {}", WEXITSTATUS(status));
  const int signal = WTERMSIG(status);
  const char* const name = sigabbrev_np(signal);
  return fmt::format(
      "was ended by {}{}",
      name == nullptr ? fmt::format("signal {}", signal) : fmt::format("SIG{}", name),
      signal == SIGKILL ? " (does the system lack memory?)" : "");
}

}  // namespace maskerade
