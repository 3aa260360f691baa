#pragma once

#include <sched.h>

#include <array>
#include <string>
#include <thread>
#include <vector>

#include "framework/base/parallel.hpp"

namespace maskerade {

// The processors that the threads of a pool and the calling thread may run on, as they are when
// this is made: code that is not ours may bind the thread that runs it. Making and restoring it
// takes a system call for each thread. One thread at a time, and outside of the pool's loops.
class ThreadAffinity {
 public:
  explicit ThreadAffinity(const Threads& threads);

  // Gives each thread its processors back, and says what had changed: "the calling thread runs on
  // processors 0 instead of 0-3", "2 of 4 threads run on other processors; the first, worker 1, on
  // processors 0 instead of 0-3"; "" when nothing had. Called by the thread that made this.
  std::string restore() const;

 private:
  // As the system fills it: room for 8192 processors.
  using Processors = std::array<cpu_set_t, 8>;
  struct Thread {
    std::string name;
    std::thread::native_handle_type handle;
    Processors processors;
  };

  static bool read(std::thread::native_handle_type handle, Processors& processors) noexcept;
  static std::string text_of(const Processors& processors);

  std::vector<Thread> threads_;  // the calling one, then worker 1, worker 2, ...
};

}  // namespace maskerade
