#pragma once

#include "experiments/worker/message_channel.hpp"

namespace maskerade::check {

// Loads the library that the first message names and asks it what the following ones want, until
// the other end of the channel is closed.
void serve_check(MessageChannel& channel);

}  // namespace maskerade::check
