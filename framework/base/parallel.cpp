#include "framework/base/parallel.hpp"

#include <atomic>
#include <condition_variable>
#include <exception>
#include <limits>
#include <mutex>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

#include "framework/base/error.hpp"
#include "framework/base/process_limits.hpp"

namespace maskerade {
namespace {

using Body = std::function<void(std::int64_t item, int worker)>;

// One call of for_each. Threads that work in it take its items one by one.
class Loop {
 public:
  Loop(std::int64_t items, const Body& body) : items_(items), body_(body) {}

  // Runs items on the calling thread, as this worker, until none is left or one has failed.
  void work(int worker) {
    while (!failed_.load(std::memory_order_relaxed)) {
      const std::int64_t item = next_.fetch_add(1, std::memory_order_relaxed);
      if (item >= items_) return;
      try {
        body_(item, worker);
      } catch (...) {
        const std::lock_guard lock(mutex_);
        if (item < error_item_) {
          error_item_ = item;
          error_ = std::current_exception();
        }
        failed_.store(true, std::memory_order_relaxed);
      }
    }
  }
  // Throws the exception of the lowest item that failed. Does nothing when none did.
  void rethrow() const {
    if (error_) std::rethrow_exception(error_);
  }

 private:
  const std::int64_t items_;
  const Body& body_;
  std::atomic<std::int64_t> next_{0};
  std::atomic<bool> failed_{false};
  std::mutex mutex_;
  std::exception_ptr error_;
  std::int64_t error_item_ = std::numeric_limits<std::int64_t>::max();
};

}  // namespace

// Threads that sleep until a loop is opened and then help with it. Rationale: an OpenMP loop ends
// with a barrier of all threads, so that on a busy machine a loop of microseconds waits a whole
// slice of the scheduler for a thread that had nothing to do. Here a loop ends as soon as its items
// are done; a worker that wakes too late finds it closed and sleeps again.
class Threads::Pool {
 public:
  explicit Pool(int workers) {
    try {
      for (int worker = 1; worker <= workers; ++worker) {
        workers_.emplace_back([this, worker](const std::stop_token& stop) { serve(stop, worker); });
      }
    } catch (const std::system_error& error) {
      throw Error("cannot start " + std::to_string(workers + 1) +
                  " threads; ask for fewer. The system says: " + error.what());
    }
  }
  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;

  // Runs the loop with the workers and the calling thread, and returns true when it is done.
  // Returns false, having run nothing, when the pool already runs a loop.
  bool run(Loop& loop) {
    if (busy_.test_and_set(std::memory_order_acquire)) return false;
    {
      const std::lock_guard lock(mutex_);
      loop_ = &loop;
      opened_.fetch_add(1);
    }
    wake_.notify_all();
    loop.work(0);
    std::unique_lock lock(mutex_);
    loop_ = nullptr;
    left_.wait(lock, [this] { return inside_ == 0; });
    busy_.clear(std::memory_order_release);
    return true;
  }

  std::vector<std::thread::native_handle_type> handles() {
    std::vector<std::thread::native_handle_type> handles;
    for (std::jthread& worker : workers_) handles.push_back(worker.native_handle());
    return handles;
  }

 private:
  // What a worker's thread runs, until the pool is destroyed: sleep, help with a loop, sleep.
  void serve(const std::stop_token& stop, int worker) {
    std::uint64_t seen = 0;
    while (!stop.stop_requested()) {
      // Loops often follow each other closely, and waking a thread costs more than a small loop:
      // look for the next loop for a moment before going to sleep.
      for (int look = 0; look < kLooks && opened_.load() == seen; ++look) pause();
      std::unique_lock lock(mutex_);
      wake_.wait(lock, stop, [&] { return opened_.load() != seen; });
      seen = opened_.load();
      if (loop_ == nullptr) continue;
      Loop& loop = *loop_;
      ++inside_;
      lock.unlock();
      loop.work(worker);
      lock.lock();
      if (--inside_ == 0) left_.notify_one();
    }
  }

  // Tells the processor that this thread is waiting in a loop.
  static void pause() {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#endif
  }

  static constexpr int kLooks = 1000;  // before sleeping: about 20 to 60 microseconds of looking

  std::atomic_flag busy_;  // set while a loop runs
  std::mutex mutex_;
  std::condition_variable_any wake_;      // workers wait here for a loop or for the request to stop
  std::condition_variable left_;          // run() waits here for the last worker to leave the loop
  Loop* loop_ = nullptr;                  // the loop that workers may enter; null: none
  int inside_ = 0;                        // workers that are in the loop
  std::atomic<std::uint64_t> opened_{0};  // loops opened so far
  // The last member, so that its threads are stopped and joined before what they use is destroyed.
  std::vector<std::jthread> workers_;
};

Threads::Threads(int count) : count_(count) {
  if (count < 1) {
    throw Error("the number of threads must be at least 1, not " + std::to_string(count));
  }
  if (count > 1) pool_ = std::make_shared<Pool>(count - 1);
}

Threads Threads::all_processors() { return Threads(static_cast<int>(process_limits().processors)); }

int Threads::most() {
  constexpr std::int64_t kMostForEachProcessor = 8;
  return static_cast<int>(kMostForEachProcessor * process_limits().processors);
}

void Threads::check_count(int count, const std::string& option) {
  if (count <= most()) return;
  throw ConfigError({}, option + " is " + std::to_string(count) + "; with " +
                            std::to_string(process_limits().processors) +
                            " processors for this process, give at most " + std::to_string(most()) +
                            " threads");
}

std::vector<std::thread::native_handle_type> Threads::worker_handles() const {
  return pool_ == nullptr ? std::vector<std::thread::native_handle_type>() : pool_->handles();
}

void Threads::for_each(std::int64_t items, const Body& body) const {
  Loop loop(items, body);
  if (pool_ == nullptr || items <= 1 || !pool_->run(loop)) loop.work(0);
  loop.rethrow();
}

}  // namespace maskerade
