#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

namespace maskerade {

// The threads that a parallel loop may use: the calling thread and a pool of workers. It is a value
// that functions hand down to what they call, since there is no global setting. Copies share the
// pool.
//
// Every parallel loop of the project is a call of for_each. Items must not depend on each other or
// on the worker that runs them, so that results are the same for any thread count.
class Threads {
 public:
  // `count` threads run a loop, the calling one included. Throws Error when count is below 1 or the
  // system cannot start so many.
  explicit Threads(int count);
  // As many threads as there are processors that this process may use (see ProcessLimits).
  static Threads all_processors();
  // The largest number of threads that a user may ask for, eight for each of these processors.
  // Rationale: many more do nothing but switch.
  static int most();
  // Throws ConfigError when an option of the command line asks for more than that.
  static void check_count(int count, const std::string& option);

  int count() const noexcept { return count_; }
  // The pool's threads, worker 1 first; the calling thread, worker 0, is none of them.
  std::vector<std::thread::native_handle_type> worker_handles() const;

  // Calls body(item, worker) once for every item in [0, items), in no particular order, and returns
  // when all calls are done. `worker`, in [0, count()), is the number of the thread that makes the
  // call, so that each can have scratch memory of its own. Once an item has thrown, others may be
  // skipped; the exception of the lowest item that threw is thrown again. A loop inside a loop runs
  // on the calling thread alone, as worker 0.
  void for_each(std::int64_t items,
                const std::function<void(std::int64_t item, int worker)>& body) const;

 private:
  class Pool;

  int count_;
  std::shared_ptr<Pool> pool_;  // null for one thread
};

}  // namespace maskerade
