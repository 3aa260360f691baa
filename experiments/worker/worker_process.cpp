#include "experiments/worker/worker_process.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <cstring>
#include <fstream>
#include <string_view>
#include <utility>
#include <vector>

#include "experiments/run/run_cell.hpp"
#include "framework/base/error.hpp"
#include "framework/base/stopwatch.hpp"

extern char** environ;

namespace maskerade {
namespace {

// How often a worker's memory and the wish to stop are looked at.
constexpr std::chrono::milliseconds kLook(20);
// How long a worker may take to end by itself.
constexpr double kFarewellMs = 2000;

// Starts the running program's file with the subcommand `worker`. Its output goes to stderr, so
// that what maskers print is not among the tables.
pid_t spawn_worker(int channel, const std::vector<int>& inherited) {
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, STDERR_FILENO, STDOUT_FILENO);
  // Duplicating a descriptor to itself makes it one that is inherited.
  posix_spawn_file_actions_adddup2(&actions, channel, channel);
  for (const int descriptor : inherited) {
    posix_spawn_file_actions_adddup2(&actions, descriptor, descriptor);
  }
  std::string end = std::to_string(channel);
  std::array<std::string, 4> texts = {"maskerade", "worker", "--channel", std::move(end)};
  std::vector<char*> arguments;
  for (std::string& text : texts) arguments.push_back(text.data());
  arguments.push_back(nullptr);
  pid_t process = -1;
  const int error =
      posix_spawn(&process, "/proc/self/exe", &actions, nullptr, arguments.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  if (error != 0) throw Error(std::string("no worker can be started: ") + std::strerror(error));
  return process;
}

std::string status_text(int status) {
  if (WIFSIGNALED(status)) {
    const int signal = WTERMSIG(status);
    const char* const name = sigabbrev_np(signal);
    return fmt::format(
        "was ended by {}{}",
        name == nullptr ? fmt::format("signal {}", signal) : fmt::format("SIG{}", name),
        signal == SIGKILL ? " (does the system lack memory?)" : "");
  }
  return fmt::format("exited with status {}", WEXITSTATUS(status));
}

}  // namespace

WorkerProcess::WorkerProcess(WorkerSetup setup, std::function<bool()> is_stopped)
    : is_stopped_(std::move(is_stopped)), channel_(-1) {
  auto [mine, theirs] = MessageChannel::connect();
  channel_ = std::move(mine);
  setup.call_record = record_.descriptor();
  std::vector<int> inherited = {record_.descriptor()};
  for (const InheritedLibrary& library : setup.libraries) {
    if (library.descriptor >= 0) inherited.push_back(library.descriptor);
  }
  process_ = spawn_worker(theirs.descriptor(), inherited);
  channel_.send(message_of(setup));
}

WorkerProcess::~WorkerProcess() {
  channel_ = MessageChannel(-1);
  const Stopwatch waiting;
  while (process_ > 0 && waiting.elapsed_ms() < kFarewellMs) {
    if (waitpid(process_, nullptr, WNOHANG) != 0) {
      process_ = -1;
    } else {
      usleep(1000);
    }
  }
  end();
}

std::variant<WorkerProcess::Answer, WorkerProcess::Ending> WorkerProcess::ask(
    const std::string& message, const WorkerLimits& limits) {
  const std::int64_t before_bytes = limits.growth_bytes ? resident_bytes() : 0;
  // One that has ended takes no message; await() says how it has.
  channel_.send(message);
  return await(limits, before_bytes);
}

bool WorkerProcess::has_ended() const { return channel_.has_news(std::chrono::milliseconds(0)); }

std::variant<WorkerProcess::Answer, WorkerProcess::Ending> WorkerProcess::await_ready() {
  return await({}, 0);
}

std::variant<WorkerProcess::Answer, WorkerProcess::Ending> WorkerProcess::await(
    const WorkerLimits& limits, std::int64_t before_bytes) {
  const Stopwatch stopwatch;
  while (!channel_.has_news(kLook)) {
    if (is_stopped_()) {
      end();
      throw RunStopped();
    }
    if (limits.timeout_ms && stopwatch.elapsed_ms() > *limits.timeout_ms) {
      const std::string where = place();
      end();
      return Ending{fmt::format("ran longer than measure.cell_timeout, {:.6g} s{}",
                                *limits.timeout_ms / 1000, where)};
    }
    if (limits.growth_bytes && resident_bytes() - before_bytes > *limits.growth_bytes) {
      const std::string where = place();
      end();
      return Ending{fmt::format("took more than measure.cell_memory, {:.6g} GB{}",
                                static_cast<double>(*limits.growth_bytes) / 1e9, where)};
    }
  }
  if (std::optional<std::string> answer = channel_.receive()) return Answer{std::move(*answer)};
  const std::string where = place();
  return Ending{status_text(end()) + where};
}

std::int64_t WorkerProcess::resident_bytes() const {
  std::ifstream file("/proc/" + std::to_string(process_) + "/statm");
  std::int64_t size = 0;
  std::int64_t resident = 0;
  file >> size >> resident;
  return resident * sysconf(_SC_PAGESIZE);
}

int WorkerProcess::end() {
  if (process_ <= 0) return 0;
  int status = 0;
  // One whose end of the channel is closed is ending; else nothing is left to wait for.
  const Stopwatch waiting;
  pid_t ended = 0;
  while (channel_.descriptor() >= 0 && channel_.has_news(std::chrono::milliseconds(0)) &&
         ended == 0 && waiting.elapsed_ms() < kFarewellMs) {
    ended = waitpid(process_, &status, WNOHANG);
    if (ended == 0) usleep(1000);
  }
  if (ended == 0) {
    kill(process_, SIGKILL);
    waitpid(process_, &status, 0);
  }
  process_ = -1;
  return status;
}

std::string WorkerProcess::place() const {
  std::string places;
  for (const std::string& masker : CallRecord::describe(record_.record())) {
    places += (places.empty() ? ", in " : " and ") + masker;
  }
  return places.empty() ? ", outside of any masker" : places;
}

}  // namespace maskerade
