#include "experiments/measure/machine_load.hpp"

#include <gtest/gtest.h>

#include <chrono>
#include <thread>

namespace maskerade {
namespace {

TEST(BusySeconds, CountWhatProcessorsDidAndNotWhatTheyWaitedFor) {
  // user nice system idle iowait irq softirq steal guest guest_nice
  const std::optional<double> busy =
      busy_seconds("cpu  100 20 30 100000 5000 4 6 40 70 7\ncpu0 1 2 3 4 5 6 7 8 9 10\n", 100);
  ASSERT_TRUE(busy);
  EXPECT_DOUBLE_EQ(*busy, 2.0);
}

TEST(BusySeconds, OfAnotherTextAreNotKnown) {
  for (const char* text :
       {"", "cpu", "cpu0 1 2 3 4 5 6 7 8", "cpu  1 2 3", "cpu  1 2 3 4 5 6 7 x"}) {
    EXPECT_FALSE(busy_seconds(text, 100)) << text;
  }
  EXPECT_FALSE(busy_seconds("cpu  1 2 3 4 5 6 7 8", 0));
}

TEST(MachineLoad, OfATimeOfFewTicksIsNotKnown) { EXPECT_FALSE(MachineLoad().finish().other); }

TEST(MachineLoad, IsNeverNegative) {
  const MachineLoad load;
  const auto end = std::chrono::steady_clock::now() + MachineLoad::kLeastMeasurable;
  while (std::chrono::steady_clock::now() < end) {
    // Busy, so that all that is counted may be this process's own.
  }
  const LoadFacts facts = load.finish();
  if (!facts.other) GTEST_SKIP() << "this system does not tell what its processors do";
  EXPECT_GE(*facts.other, 0);
  ASSERT_TRUE(facts.average);
  EXPECT_GE(*facts.average, 0);
}

}  // namespace
}  // namespace maskerade
