#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "experiments/worker/message_channel.hpp"
#include "experiments/worker/worker_messages.hpp"
#include "framework/plugin/call_record.hpp"

namespace maskerade {

// What a worker may take to answer, and what a user knows each limit by.
struct WorkerLimits {
  std::optional<double> timeout_ms = {};
  std::optional<std::int64_t> growth_bytes = {};  // of its resident memory, from now on
  // What the limits are, in messages.
  const char* timeout_name = "measure.cell_timeout";
  const char* growth_name = "measure.cell_memory";
};

// One worker process, from its start to its end; destroying this ends it.
class WorkerProcess {
 public:
  // Starts the program anew. is_stopped: whether to give up waiting. Throws Error when the system
  // cannot start it.
  WorkerProcess(WorkerSetup setup, std::function<bool()> is_stopped);
  // The same with these arguments, to which those that name the channel and the record of calls are
  // added, and without a setup.
  WorkerProcess(std::vector<std::string> arguments, std::function<bool()> is_stopped);
  ~WorkerProcess();
  WorkerProcess(const WorkerProcess&) = delete;
  WorkerProcess& operator=(const WorkerProcess&) = delete;

  struct Answer {
    std::string message;
  };
  // How the process ended before it answered, as the middle of a sentence about it: "was ended by
  // SIGSEGV, in masker \"quest\" (quest.so)".
  struct Ending {
    std::string text;
  };
  // Waits for the answer to the setup. Throws RunStopped, after ending the process, when the run
  // should stop.
  std::variant<Answer, Ending> await_ready();
  // Sends a message and waits for the answer. Throws likewise.
  std::variant<Answer, Ending> ask(const std::string& message, const WorkerLimits& limits = {});
  // Whether the process, which was asked nothing since its last answer, has ended by itself.
  bool has_ended() const;

 private:
  // Executes the program anew, which inherits these descriptors, the record's and the channel's.
  void start(std::vector<std::string> arguments, std::vector<int> inherited);
  // before_bytes: the resident memory from which growth counts.
  std::variant<Answer, Ending> await(const WorkerLimits& limits, std::int64_t before_bytes);
  std::int64_t resident_bytes() const;
  // Ends the process if it has not ended, and waits until it has; gives its status as waitpid does.
  int end();
  std::string place() const;

  std::function<bool()> is_stopped_;
  SharedCallRecord record_;
  MessageChannel channel_;
  pid_t process_ = -1;
};

}  // namespace maskerade
