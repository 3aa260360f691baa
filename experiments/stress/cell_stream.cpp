#include "experiments/stress/cell_stream.hpp"

#include <utility>

namespace maskerade::stress {
namespace {

// How far threads may be ahead of what was given, in cells for each.
constexpr std::int64_t kMostAhead = 32;

}  // namespace

CellStream::CellStream(Work work)
    : work_(std::move(work)), begun_(work_.begin), given_(work_.begin), running_(work_.workers) {
  for (int i = 0; i < work_.workers; ++i) threads_.emplace_back([this] { run(); });
}

CellStream::~CellStream() {
  {
    const std::lock_guard lock(mutex_);
    is_stopping_ = true;
  }
  changed_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

void CellStream::run() {
  std::unique_lock lock(mutex_);
  try {
    // Rationale: a worker process ends with the thread that started it.
    std::unique_ptr<CellChecker> checker;
    for (;;) {
      changed_.wait(lock,
                    [&] { return is_stopping_ || begun_ - given_ < kMostAhead * work_.workers; });
      if (is_stopping_ || begun_ == work_.end || work_.is_over()) break;
      const std::int64_t number = begun_++;
      lock.unlock();
      if (checker == nullptr) checker = work_.make_checker();
      CheckedCell checked = work_.check(number, *checker);
      lock.lock();
      done_.emplace(number, std::move(checked));
      changed_.notify_all();
    }
    lock.unlock();
    checker.reset();
    lock.lock();
  } catch (...) {
    if (!lock.owns_lock()) lock.lock();
    if (failure_ == nullptr) failure_ = std::current_exception();
    is_stopping_ = true;
  }
  --running_;
  changed_.notify_all();
}

std::optional<CheckedCell> CellStream::next() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return done_.count(given_) > 0 || running_ == 0; });
  const auto found = done_.find(given_);
  if (found == done_.end()) {
    if (failure_ != nullptr) std::rethrow_exception(std::exchange(failure_, nullptr));
    return std::nullopt;
  }
  CheckedCell checked = std::move(found->second);
  done_.erase(found);
  ++given_;
  changed_.notify_all();
  return checked;
}

}  // namespace maskerade::stress
