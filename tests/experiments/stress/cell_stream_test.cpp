#include "experiments/stress/cell_stream.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <thread>

#include "framework/base/error.hpp"

namespace maskerade::stress {
namespace {

// Cells of which the earlier ones take longer.
CellStream::Work slow_first(std::int64_t begin, std::int64_t end) {
  return {.begin = begin,
          .end = end,
          .workers = 3,
          .make_checker = [] { return std::make_unique<LocalChecker>(); },
          .check =
              [end](std::int64_t number, CellChecker&) {
                std::this_thread::sleep_for(std::chrono::microseconds(100 * (end - number) % 700));
                return CheckedCell{.number = number};
              },
          .is_over = [] { return false; }};
}

TEST(CellStream, GivesCellsInTheOrderOfTheirNumbers) {
  CellStream stream(slow_first(5, 300));
  for (std::int64_t number = 5; number < 300; ++number) {
    const std::optional<CheckedCell> checked = stream.next();
    ASSERT_TRUE(checked);
    EXPECT_EQ(checked->number, number);
  }
  EXPECT_FALSE(stream.next());
  EXPECT_FALSE(stream.next());
}

TEST(CellStream, BeginsNoCellWhenItIsOver) {
  CellStream::Work work = slow_first(0, 1 << 20);
  std::atomic<int> asked = 0;
  work.is_over = [&] { return ++asked > 10; };
  std::int64_t given = 0;
  for (CellStream stream(std::move(work)); stream.next();) ++given;
  EXPECT_EQ(given, 10);
}

TEST(CellStream, GivesWhatCameBeforeAnError) {
  CellStream::Work work = slow_first(0, 100);
  work.check = [](std::int64_t number, CellChecker&) -> CheckedCell {
    if (number == 7) throw Error("no more");
    return {.number = number};
  };
  CellStream stream(std::move(work));
  for (std::int64_t number = 0; number < 7; ++number) {
    const std::optional<CheckedCell> checked = stream.next();
    ASSERT_TRUE(checked);
    EXPECT_EQ(checked->number, number);
  }
  EXPECT_THROW(stream.next(), Error);
}

TEST(CellStream, CanBeLeftBeforeItsEnd) {
  CellStream stream(slow_first(0, 1 << 20));
  EXPECT_TRUE(stream.next());
}

}  // namespace
}  // namespace maskerade::stress
