#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <exception>
#include <memory>
#include <optional>
#include <string>

#include "experiments/cli/commands.hpp"
#include "experiments/config/experiment.hpp"
#include "experiments/worker/cell_server.hpp"
#include "experiments/worker/message_channel.hpp"
#include "framework/plugin/call_record.hpp"
#include "experiments/worker/worker_messages.hpp"
#include "framework/base/error.hpp"

namespace maskerade {
namespace {

// What this process needs to answer requests.
struct Ready {
  Catalog catalog;
  Experiment experiment;
  RunOptions options;
};

Ready prepare(const WorkerSetup& setup) {
  Ready ready;
  if (setup.threads > 0) ready.options.threads = Threads(setup.threads);
  ready.options.chunk_rows = setup.chunk_rows;
  std::string problem;
  ready.options.costs = find_costs(problem);
  for (const InheritedLibrary& library : setup.libraries) {
    if (library.descriptor >= 0) {
      ready.catalog.load(library.path, library.descriptor);
    } else if (ready.catalog.load(library.path).sha256() != library.sha256) {
      throw PluginError(library.path, "changed while the experiment ran; run it again");
    }
  }
  ready.experiment = parse_experiment(setup.text, setup.file, setup.assignments, ready.catalog,
                                      find_presets());
  return ready;
}

// Serves the program at the other end of the channel until that closes it or ends.
int work(int descriptor) {
  // The program decides when the run ends, and this process must not outlive it.
  for (const int each : {SIGINT, SIGTERM, SIGHUP}) signal(each, SIG_IGN);
  prctl(PR_SET_PDEATHSIG, SIGKILL);
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
  channel.send(message_of(WorkerReady{failure}));
  if (ready) serve_cells(ready->experiment, ready->options, channel);
  CallRecord::use(nullptr);
  return kExitOk;
}

}  // namespace

void add_worker_command(CLI::App& program, Command& command) {
  const auto descriptor = std::make_shared<int>(-1);
  CLI::App* worker_command = program.add_subcommand(
      "worker", "Run cells for another process of this program, which starts it");
  worker_command->group("");  // a user has no use for it
  worker_command->add_option("--channel", *descriptor, "The descriptor that leads to the process")
      ->required();
  worker_command->callback([descriptor, &command] { command = [descriptor] { return work(*descriptor); }; });
}

}  // namespace maskerade
