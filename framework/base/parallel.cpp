#include "framework/base/parallel.hpp"

#include <omp.h>

#include <atomic>
#include <exception>
#include <limits>
#include <mutex>
#include <string>

#include "framework/base/error.hpp"

namespace maskerade {

Threads::Threads(int count) : count_(count) {
  if (count < 1) {
    throw Error("the number of threads must be at least 1, not " + std::to_string(count));
  }
}

Threads Threads::all_processors() { return Threads(omp_get_num_procs()); }

void Threads::for_each(std::int64_t items,
                       const std::function<void(std::int64_t item, int worker)>& body) const {
  if (count_ == 1 || items <= 1) {
    for (std::int64_t item = 0; item < items; ++item) body(item, 0);
    return;
  }
  std::atomic<std::int64_t> next{0};
  std::atomic<bool> failed{false};
  std::mutex mutex;
  std::exception_ptr error;
  std::int64_t error_item = std::numeric_limits<std::int64_t>::max();
#pragma omp parallel num_threads(count_)
  {
    const int worker = omp_get_thread_num();
    while (!failed.load(std::memory_order_relaxed)) {
      const std::int64_t item = next.fetch_add(1, std::memory_order_relaxed);
      if (item >= items) break;
      try {
        body(item, worker);
      } catch (...) {
        const std::lock_guard lock(mutex);
        if (item < error_item) {
          error_item = item;
          error = std::current_exception();
        }
        failed.store(true, std::memory_order_relaxed);
      }
    }
  }
  if (error) std::rethrow_exception(error);
}

}  // namespace maskerade
