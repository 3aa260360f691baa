#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace maskerade::check {

// What of this process is not a plugin's to change.
struct ProcessState {
  std::vector<const void*> signal_handlers;  // by signal
  std::size_t threads = 0;
  std::size_t descriptors = 0;  // open ones
  std::string folder;           // the working folder

  static ProcessState now();
};

// What is there now and was not in `before`, in words: "a handler of SIGINT, 2 threads"; "" where
// all is as it was. Threads count where there are more, descriptors where there are more.
std::string change_from(const ProcessState& before, const ProcessState& now);

}  // namespace maskerade::check
