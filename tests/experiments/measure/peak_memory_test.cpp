#include "experiments/measure/peak_memory.hpp"

#include <gtest/gtest.h>
#include <sys/mman.h>

#include <cstring>

namespace maskerade {
namespace {

constexpr std::size_t kBytes = std::size_t{64} << 20;

// Fills kBytes of memory and returns it to the system.
void touch_memory() {
  void* memory = mmap(nullptr, kBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  ASSERT_NE(memory, MAP_FAILED);
  std::memset(memory, 1, kBytes);
  munmap(memory, kBytes);
}

TEST(PeakMemory, SeesWhatWasUsedAndGivenBack) {
  const PeakMemory peak;
  const std::optional<std::int64_t> before = peak.bytes();
  if (!before) GTEST_SKIP() << "this system does not report the peak";
  touch_memory();
  EXPECT_GE(*peak.bytes(), *before + static_cast<std::int64_t>(kBytes) / 2);
}

TEST(PeakMemory, DoesNotSeeWhatWasUsedBeforeIt) {
  touch_memory();
  const std::optional<std::int64_t> high = PeakMemory().bytes();
  if (!high) GTEST_SKIP() << "this system does not report the peak";
  const PeakMemory peak;
  const std::int64_t before = *peak.bytes();
  touch_memory();
  EXPECT_LE(before, *peak.bytes() - static_cast<std::int64_t>(kBytes) / 2);
}

}  // namespace
}  // namespace maskerade
