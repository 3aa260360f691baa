#include "framework/base/thread_affinity.hpp"

#include <pthread.h>

#include <cstddef>
#include <cstring>
#include <utility>

namespace maskerade {
bool ThreadAffinity::read(std::thread::native_handle_type handle, Processors& processors) noexcept {
  processors = {};
  return pthread_getaffinity_np(handle, sizeof(processors), processors.data()) == 0;
}

// "0-3, 6".
std::string ThreadAffinity::text_of(const Processors& processors) {
  const auto has = [&](std::size_t processor) {
    return processor < sizeof(Processors) * 8 &&
           CPU_ISSET_S(processor, sizeof(Processors), processors.data());
  };
  std::string text;
  for (std::size_t i = 0; i < sizeof(Processors) * 8; ++i) {
    if (!has(i)) continue;
    const std::size_t first = i;
    while (has(i + 1)) ++i;
    text += (text.empty() ? "" : ", ") + std::to_string(first);
    if (i > first) text += "-" + std::to_string(i);
  }
  return text;
}

ThreadAffinity::ThreadAffinity(const Threads& threads) {
  std::vector<std::thread::native_handle_type> handles = threads.worker_handles();
  handles.insert(handles.begin(), pthread_self());
  for (std::size_t i = 0; i < handles.size(); ++i) {
    Thread thread{i == 0 ? "the calling thread" : "worker " + std::to_string(i), handles[i], {}};
    if (read(thread.handle, thread.processors)) threads_.push_back(std::move(thread));
  }
}

std::string ThreadAffinity::restore() const {
  int changed = 0;
  bool is_restored = true;
  std::string first_name;
  std::string first_change;
  for (const Thread& thread : threads_) {
    Processors now;
    if (!read(thread.handle, now) ||
        std::memcmp(now.data(), thread.processors.data(), sizeof(now)) == 0) {
      continue;
    }
    if (changed++ == 0) {
      first_name = thread.name;
      first_change = "on processors " + text_of(now) + " instead of " + text_of(thread.processors);
    }
    is_restored = pthread_setaffinity_np(thread.handle, sizeof(thread.processors),
                                         thread.processors.data()) == 0 &&
                  is_restored;
  }
  if (changed == 0) return "";
  std::string text = changed == 1
                         ? first_name + " runs " + first_change
                         : std::to_string(changed) + " of " + std::to_string(threads_.size()) +
                               " threads run on other processors; the first, " + first_name + ", " +
                               first_change;
  if (!is_restored) text += "; the system does not take them back";
  return text;
}

}  // namespace maskerade
