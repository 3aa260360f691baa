#include "framework/base/floating_point_state.hpp"

#include <gtest/gtest.h>

#include <cfenv>
#include <limits>
#include <string>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace maskerade {
namespace {

// Half of the smallest normal number, computed when it is called.
float half_of_smallest() {
  volatile float smallest = std::numeric_limits<float>::min();
  return smallest / 2;
}

// What `change` changes in words, on this thread, which is as before in the end.
template <typename Change>
std::string change_by(Change&& change) {
  const FloatingPointState before = FloatingPointState::current();
  change();
  const FloatingPointState after = FloatingPointState::current();
  before.restore();
  EXPECT_TRUE(FloatingPointState::current() == before);
  return after.change_from(before);
}

TEST(FloatingPointState, NothingHasNoWords) {
  EXPECT_EQ(change_by([] {}), "");
  EXPECT_EQ(change_by([] { std::feraiseexcept(FE_DIVBYZERO); }), "") << "a flag is no state";
}

TEST(FloatingPointState, RoundingIsSaidAndRestored) {
  EXPECT_EQ(change_by([] { std::fesetround(FE_TOWARDZERO); }), "rounds toward zero");
  EXPECT_EQ(change_by([] { std::fesetround(FE_UPWARD); }), "rounds up");
  EXPECT_EQ(change_by([] { std::fesetround(FE_DOWNWARD); }), "rounds down");
  EXPECT_EQ(std::fegetround(), FE_TONEAREST);
}

#if defined(__x86_64__)
TEST(FloatingPointState, FlushingIsSaidAndRestored) {
  EXPECT_EQ(change_by([] { _mm_setcsr(_mm_getcsr() | 0x8040); }),
            "flushes denormals to zero, takes denormals for zero");
  EXPECT_GT(half_of_smallest(), 0);
  const FloatingPointState before = FloatingPointState::current();
  _mm_setcsr(_mm_getcsr() | 0x8000);
  EXPECT_EQ(half_of_smallest(), 0);
  const FloatingPointState flushing = FloatingPointState::current();
  before.restore();
  EXPECT_EQ(before.change_from(flushing), "no longer flushes denormals to zero");
}

TEST(FloatingPointState, PrecisionOfX87IsSaid) {
  EXPECT_EQ(change_by([] {
              const std::uint16_t shorter = 0x027F;
              __asm__ volatile("fldcw %0" : : "m"(shorter));
            }),
            "computes with 53 bits of precision in x87 arithmetic");
}
#endif

#if defined(__GLIBC__) && (defined(__x86_64__) || defined(__aarch64__))
TEST(FloatingPointState, TrapsAreSaidAndRestored) {
  const int before = fegetexcept();
#if defined(__x86_64__)  // elsewhere a processor may have no traps
  EXPECT_EQ(change_by([] { feenableexcept(FE_DIVBYZERO | FE_OVERFLOW); }),
            "traps division by zero, traps overflow");
#endif
  EXPECT_EQ(fegetexcept(), before);
}

// A pending exception that traps would strike at the next instruction of that unit.
TEST(FloatingPointState, RestoringRaisesNoExceptionThatIsPending) {
  std::feraiseexcept(FE_DIVBYZERO);
#if defined(__x86_64__)
  const FloatingPointState before = FloatingPointState::current();
  const std::uint16_t trapping = 0x037B;  // of division by zero
  __asm__ volatile("fldz\n\tfld1\n\tfdiv %%st(1), %%st\n\tfstp %%st(0)\n\tfstp %%st(0)\n\tfldcw %0"
                   :
                   : "m"(trapping)
                   : "st", "st(1)");
  before.restore();
#endif
  volatile long double one = 1;
  EXPECT_EQ(one + one, 2);
  std::feclearexcept(FE_ALL_EXCEPT);
}
#endif

TEST(FloatingPointState, IsTheThreadsOwn) {
  const FloatingPointState before = FloatingPointState::current();
  EXPECT_TRUE(before == FloatingPointState::current());
  std::fesetround(FE_UPWARD);
  EXPECT_FALSE(before == FloatingPointState::current());
  before.restore();
  EXPECT_TRUE(before == FloatingPointState::current());
}

}  // namespace
}  // namespace maskerade
