#include "framework/base/parallel.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include "framework/base/error.hpp"

namespace maskerade {
namespace {

TEST(Threads, EveryItemIsDoneOnceByAWorkerInRange) {
  for (const int count : {1, 2, 5}) {
    for (const std::int64_t items : {0, 1, 3, 1000}) {
      std::vector<std::atomic<int>> done(static_cast<std::size_t>(items));
      std::atomic<bool> in_range{true};
      Threads(count).for_each(items, [&](std::int64_t item, int worker) {
        ++done[static_cast<std::size_t>(item)];
        if (worker < 0 || worker >= count) in_range = false;
      });
      EXPECT_TRUE(in_range);
      for (const auto& times : done) EXPECT_EQ(times, 1);
    }
  }
}

TEST(Threads, TheFirstItemThatFailsIsReported) {
  for (const int count : {1, 4}) {
    std::string message;
    try {
      Threads(count).for_each(100, [](std::int64_t item, int) {
        // Item 0 is handed out first, so it runs and fails whichever other items fail before.
        if (item == 0 || item > 50) throw Error("item " + std::to_string(item));
      });
    } catch (const Error& error) {
      message = error.what();
    }
    EXPECT_EQ(message, "item 0");
  }
}

TEST(Threads, LoopsGoOnAfterAFailure) {
  const Threads threads(3);
  EXPECT_THROW(threads.for_each(10, [](std::int64_t, int) { throw Error("no"); }), Error);
  std::atomic<int> done{0};
  threads.for_each(10, [&](std::int64_t, int) { ++done; });
  EXPECT_EQ(done, 10);
}

TEST(Threads, ALoopInsideALoopRunsOnItsThreadAlone) {
  const Threads threads(3);
  std::atomic<int> done{0};
  std::atomic<bool> alone{true};
  threads.for_each(20, [&](std::int64_t, int) {
    const auto self = std::this_thread::get_id();
    threads.for_each(5, [&](std::int64_t, int worker) {
      ++done;
      if (worker != 0 || std::this_thread::get_id() != self) alone = false;
    });
  });
  EXPECT_EQ(done, 100);
  EXPECT_TRUE(alone);
}

TEST(Threads, CopiesShareThePoolAndSeveralThreadsMayUseIt) {
  const Threads threads(2);
  std::atomic<int> done{0};
  {
    std::vector<std::jthread> callers;
    for (int caller = 0; caller < 3; ++caller) {
      callers.emplace_back([copy = threads, &done] {
        for (int loop = 0; loop < 200; ++loop) copy.for_each(7, [&](std::int64_t, int) { ++done; });
      });
    }
  }
  EXPECT_EQ(done, 3 * 200 * 7);
}

TEST(Threads, CountsMustBePositive) {
  EXPECT_THROW(Threads(0), Error);
  EXPECT_THROW(Threads(-3), Error);
  EXPECT_GE(Threads::all_processors().count(), 1);
}

}  // namespace
}  // namespace maskerade
