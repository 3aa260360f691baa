#include "experiments/cli/stop_signals.hpp"

#include <signal.h>

namespace maskerade {
namespace {

constexpr int kSignals[] = {SIGINT, SIGTERM, SIGHUP};

volatile sig_atomic_t stop_requested = 0;

// Gives every signal its usual effect again.
void request_stop(int) {
  stop_requested = 1;
  for (const int each : kSignals) signal(each, SIG_DFL);
}

}  // namespace

void stop_on_signals() {
  struct sigaction action = {};
  action.sa_handler = request_stop;
  for (const int each : kSignals) {
    struct sigaction present = {};
    sigaction(each, nullptr, &present);
    // Rationale: `nohup` has the program ignore that its terminal was closed.
    if (present.sa_handler != SIG_IGN) sigaction(each, &action, nullptr);
  }
}

bool is_stop_requested() noexcept { return stop_requested != 0; }

}  // namespace maskerade
