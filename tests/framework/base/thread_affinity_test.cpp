#include "framework/base/thread_affinity.hpp"

#include <gtest/gtest.h>
#include <pthread.h>

#include <mutex>
#include <set>
#include <string>

#include "framework/base/parallel.hpp"

namespace maskerade {
namespace {

cpu_set_t processors_of(pthread_t thread) {
  cpu_set_t processors;
  CPU_ZERO(&processors);
  EXPECT_EQ(pthread_getaffinity_np(thread, sizeof(processors), &processors), 0);
  return processors;
}

// Binds a thread to one of its processors; the number of that.
int bind_to_one(pthread_t thread) {
  const cpu_set_t allowed = processors_of(thread);
  int first = 0;
  while (!CPU_ISSET(first, &allowed)) ++first;
  cpu_set_t one;
  CPU_ZERO(&one);
  CPU_SET(first, &one);
  EXPECT_EQ(pthread_setaffinity_np(thread, sizeof(one), &one), 0);
  return first;
}

class ThreadAffinityTest : public testing::Test {
 protected:
  void SetUp() override {
    const cpu_set_t allowed = processors_of(pthread_self());
    if (CPU_COUNT(&allowed) < 2) GTEST_SKIP() << "one processor leaves nothing to bind to";
  }
};

TEST_F(ThreadAffinityTest, SaysNothingWhenNothingChanged) {
  const Threads threads(3);
  EXPECT_EQ(ThreadAffinity(threads).restore(), "");
}

TEST_F(ThreadAffinityTest, NamesTheCallingThreadAndGivesItsProcessorsBack) {
  const Threads alone(1);
  const cpu_set_t before = processors_of(pthread_self());
  const ThreadAffinity affinity(alone);
  const int bound = bind_to_one(pthread_self());
  const std::string said = affinity.restore();
  EXPECT_TRUE(said.starts_with("the calling thread runs on processors " + std::to_string(bound) +
                               " instead of "))
      << said;
  const cpu_set_t after = processors_of(pthread_self());
  EXPECT_TRUE(CPU_EQUAL(&before, &after));
  EXPECT_EQ(affinity.restore(), "");
}

TEST_F(ThreadAffinityTest, CoversTheWorkersOfAPool) {
  const Threads threads(3);
  const cpu_set_t before = processors_of(pthread_self());
  const ThreadAffinity affinity(threads);
  const auto handles = threads.worker_handles();
  ASSERT_EQ(handles.size(), 2U);
  bind_to_one(handles.back());
  EXPECT_TRUE(affinity.restore().starts_with("worker 2 runs on processors "));
  for (const auto handle : handles) bind_to_one(handle);
  const std::string said = affinity.restore();
  EXPECT_TRUE(said.starts_with(
      "2 of 3 threads run on other processors; the first, worker 1, on processors "))
      << said;
  for (const auto handle : handles) {
    const cpu_set_t after = processors_of(handle);
    EXPECT_TRUE(CPU_EQUAL(&before, &after));
  }
}

TEST(Threads, WorkerHandlesAreThoseOfThePoolsThreads) {
  const Threads threads(3);
  const auto handles = threads.worker_handles();
  std::set<pthread_t> known(handles.begin(), handles.end());
  EXPECT_EQ(known.size(), 2U);
  known.insert(pthread_self());
  std::mutex mutex;
  threads.for_each(100, [&](std::int64_t, int) {
    const std::lock_guard lock(mutex);
    EXPECT_TRUE(known.contains(pthread_self()));
  });
  EXPECT_TRUE(Threads(1).worker_handles().empty());
}

}  // namespace
}  // namespace maskerade
