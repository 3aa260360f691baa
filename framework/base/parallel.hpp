#pragma once

#include <cstdint>
#include <functional>
#include <memory>

namespace maskerade {

// How parallel loops run: a pool of workers. A value: pass it down; copies share the pool; there is
// no global setting.
//
// Every parallel loop of the project is a call of for_each. Items must not depend on each other or
// on the worker that runs them, so that results are the same for any thread count.
class Threads {
 public:
  // count: workers, the calling thread included; >= 1. Throws Error otherwise.
  explicit Threads(int count);
  // One worker per processor that this process may use.
  static Threads all_processors();

  int count() const noexcept { return count_; }

  // Calls body(item, worker) for item in [0, items), each once, in no particular order; worker is
  // in [0, count()) and names the thread, for scratch memory. Returns when all are done. The
  // exception of the lowest item that threw is rethrown; items after a failure may be skipped. A
  // loop inside a loop runs on the calling thread alone, as worker 0.
  void for_each(std::int64_t items,
                const std::function<void(std::int64_t item, int worker)>& body) const;

 private:
  class Pool;

  int count_;
  std::shared_ptr<Pool> pool_;  // null for one thread
};

}  // namespace maskerade
