#include "experiments/worker/library_probe.hpp"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "experiments/worker/own_program.hpp"
#include "framework/base/error.hpp"
#include "framework/base/stopwatch.hpp"
#include "framework/plugin/call_record.hpp"

namespace maskerade {

void probe_libraries(const std::vector<std::string>& files) {
  constexpr double kLongestMs = 60'000;
  const SharedCallRecord calls;
  std::vector<std::string> arguments = {"worker", "--probe", "--record",
                                        std::to_string(calls.descriptor())};
  for (const std::string& file : files) arguments.insert(arguments.end(), {"--plugin", file});
  const pid_t process = execute_own_program(arguments, {calls.descriptor()});
  const Stopwatch waiting;
  int status = 0;
  bool is_late = false;
  while (waitpid(process, &status, WNOHANG) == 0) {
    is_late = waiting.elapsed_ms() > kLongestMs;
    if (is_late) {
      kill(process, SIGKILL);
      waitpid(process, &status, 0);
      break;
    }
    usleep(500);
  }
  if (WIFEXITED(status) && WEXITSTATUS(status) == kProbedStatus) return;
  std::string library;
  for (const std::string& place : CallRecord::describe(calls.record())) {
    library += (library.empty() ? "" : ", ") + place;
  }
  throw PluginError(library.empty() ? "the libraries of maskers" : library,
                    (is_late ? "loading takes longer than a minute"
                             : "a process that loaded it " + ending_text(status)) +
                        "; a library must do nothing while it is loaded but return its descriptor, "
                        "so mend it, or leave it out of --plugin and MASKERADE_PLUGIN_PATH");
}

}  // namespace maskerade
