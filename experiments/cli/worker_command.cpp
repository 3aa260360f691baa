#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <cstdlib>
#include <exception>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "experiments/check/check_server.hpp"
#include "experiments/cli/commands.hpp"
#include "experiments/config/experiment.hpp"
#include "experiments/stress/worker_checker.hpp"
#include "experiments/worker/cell_server.hpp"
#include "experiments/worker/library_probe.hpp"
#include "experiments/worker/message_channel.hpp"
#include "experiments/worker/worker_messages.hpp"
#include "framework/base/error.hpp"
#include "framework/plugin/call_record.hpp"

namespace maskerade {
namespace {

// What this process needs to answer requests.
struct Ready {
  Catalog catalog;
  Catalog references;
  Experiment experiment;
  RunOptions options;
};

Ready prepare(const WorkerSetup& setup) {
  Ready ready{.catalog = load_inherited(setup.libraries),
              .references = load_inherited(setup.references),
              .experiment = {},
              .options = {}};
  if (setup.duty == WorkerDuty::kCheckCells) return ready;
  if (setup.threads > 0) ready.options.threads = Threads(setup.threads);
  ready.options.chunk_rows = setup.chunk_rows;
  std::string problem;
  ready.options.costs = find_costs(problem);
  ready.experiment =
      parse_experiment(setup.text, setup.file, setup.assignments, ready.catalog, find_presets());
  return ready;
}

// The program at the other end decides when this process ends, and it must not outlive that.
void end_with_program() {
  for (const int each : {SIGINT, SIGTERM, SIGHUP}) signal(each, SIG_IGN);
  prctl(PR_SET_PDEATHSIG, SIGKILL);
}

// Has a masker that calls exit() end this process at once. Rationale: it would else destroy what
// other threads are at, and end by a signal that hides what it did. Functions that were registered
// last are called first.
void end_at_exit() {
  on_exit([](int status, void*) { _exit(status); }, nullptr);
}

// Serves the program at the other end of the channel until that closes it or ends.
int work(int descriptor) {
  end_with_program();
  MessageChannel channel(descriptor);
  const std::optional<std::string> message = channel.receive();
  if (!message) return kExitOk;
  const WorkerSetup setup = setup_of(*message);
  const SharedCallRecord calls(setup.call_record);
  CallRecord::use(&calls.record());
  std::optional<Ready> ready;
  std::string failure;
  try {
    ready.emplace(prepare(setup));
  } catch (const std::exception& error) {
    failure = error.what();
  }
  end_at_exit();
  channel.send(message_of(WorkerReady{failure}));
  if (ready && setup.duty == WorkerDuty::kRunCells) {
    serve_cells(ready->experiment, ready->options, channel);
  } else if (ready) {
    stress::serve_checks(ready->catalog, ready->references, channel);
  }
  CallRecord::use(nullptr);
  return kExitOk;
}

// Asks a library what the program at the other end of the channel wants to know.
int check_for_program(int descriptor, int record) {
  end_with_program();
  MessageChannel channel(descriptor);
  const SharedCallRecord calls(record);
  CallRecord::use(&calls.record());
  end_at_exit();
  check::serve_check(channel);
  CallRecord::use(nullptr);
  return kExitOk;
}

// The command line of `worker`.
struct WorkerArguments {
  int channel = -1;
  bool probes = false;
  bool checks = false;
  int record = -1;
  std::vector<std::string> plugins;
};

// See probe_libraries().
[[noreturn]] void probe(const WorkerArguments& arguments) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  const SharedCallRecord calls(arguments.record);
  CallRecord::use(&calls.record());
  try {
    load_maskers(arguments.plugins);
  } catch (const std::exception&) {  // the program that asks will meet it
  }
  _exit(kProbedStatus);
}

}  // namespace

void add_worker_command(CLI::App& program, Command& command) {
  const auto arguments = std::make_shared<WorkerArguments>();
  CLI::App* worker_command = program.add_subcommand(
      "worker", "Run cells, load or check libraries, for another process of this program");
  worker_command->group("");  // a user has no use for it
  worker_command->add_option("--channel", arguments->channel,
                             "The descriptor that leads to the process");
  worker_command->add_flag("--probe", arguments->probes, "Load the libraries of maskers and end");
  worker_command->add_flag("--check", arguments->checks, "Check a library");
  worker_command->add_option("--record", arguments->record,
                             "The descriptor of the memory in which calls are noted");
  add_plugin_option(*worker_command, arguments->plugins);
  worker_command->callback([arguments, &command] {
    command = [arguments] {
      if (arguments->probes) probe(*arguments);
      if (arguments->checks) return check_for_program(arguments->channel, arguments->record);
      return work(arguments->channel);
    };
  });
}

}  // namespace maskerade
