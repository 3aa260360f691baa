#pragma once

namespace maskerade {

// From now on the first of the signals SIGINT (Ctrl-C), SIGTERM and SIGHUP asks the run to stop,
// and the next one ends the program.
void stop_on_signals();

// Whether one of them has come.
bool is_stop_requested() noexcept;

}  // namespace maskerade
