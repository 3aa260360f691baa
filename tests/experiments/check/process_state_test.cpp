#include "experiments/check/process_state.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <thread>

namespace maskerade::check {
namespace {

TEST(ProcessState, IsTheSameWhereNothingChanges) {
  const ProcessState before = ProcessState::now();
  EXPECT_EQ(change_from(before, ProcessState::now()), "");
}

TEST(ProcessState, NamesWhatIsLeftBehind) {
  const ProcessState before = ProcessState::now();
  const auto old = signal(SIGUSR1, SIG_IGN);
  const int descriptor = open("/dev/null", O_RDONLY);
  std::atomic<bool> is_done = false;
  std::thread thread([&] {
    while (!is_done) usleep(100);
  });
  const std::string change = change_from(before, ProcessState::now());
  is_done = true;
  thread.join();
  close(descriptor);
  signal(SIGUSR1, old);
  EXPECT_EQ(change, "a handler of SIGUSR1, 1 thread, 1 open file descriptor");
}

}  // namespace
}  // namespace maskerade::check
