#include "experiments/worker/worker_process.hpp"

#include <fmt/format.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <fstream>
#include <utility>
#include <vector>

#include "experiments/run/run_cell.hpp"
#include "experiments/worker/own_program.hpp"
#include "framework/base/stopwatch.hpp"

namespace maskerade {
namespace {

// How often a worker's memory and the wish to stop are looked at.
constexpr std::chrono::milliseconds kLook(20);
// How long a worker may take to end by itself.
constexpr double kFarewellMs = 2000;

}  // namespace

WorkerProcess::WorkerProcess(WorkerSetup setup, std::function<bool()> is_stopped)
    : is_stopped_(std::move(is_stopped)), channel_(-1) {
  setup.call_record = record_.descriptor();
  std::vector<int> inherited;
  for (const auto* libraries : {&setup.libraries, &setup.references}) {
    for (const InheritedLibrary& library : *libraries) {
      if (library.descriptor >= 0) inherited.push_back(library.descriptor);
    }
  }
  start({"worker"}, std::move(inherited));
  channel_.send(message_of(setup));
}

WorkerProcess::WorkerProcess(std::vector<std::string> arguments, std::function<bool()> is_stopped)
    : is_stopped_(std::move(is_stopped)), channel_(-1) {
  arguments.insert(arguments.end(), {"--record", std::to_string(record_.descriptor())});
  start(std::move(arguments), {});
}

void WorkerProcess::start(std::vector<std::string> arguments, std::vector<int> inherited) {
  auto [mine, theirs] = MessageChannel::connect();
  channel_ = std::move(mine);
  inherited.insert(inherited.end(), {record_.descriptor(), theirs.descriptor()});
  arguments.insert(arguments.end(), {"--channel", std::to_string(theirs.descriptor())});
  process_ = execute_own_program(arguments, inherited);
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
      return Ending{fmt::format("ran longer than {}, {:.6g} s{}", limits.timeout_name,
                                *limits.timeout_ms / 1000, where)};
    }
    if (limits.growth_bytes && resident_bytes() - before_bytes > *limits.growth_bytes) {
      const std::string where = place();
      end();
      return Ending{fmt::format("took more than {}, {:.6g} GB{}", limits.growth_name,
                                static_cast<double>(*limits.growth_bytes) / 1e9, where)};
    }
  }
  if (std::optional<std::string> answer = channel_.receive()) return Answer{std::move(*answer)};
  const std::string where = place();
  return Ending{ending_text(end()) + where};
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
