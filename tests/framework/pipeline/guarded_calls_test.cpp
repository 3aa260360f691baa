// The guard around every call into a plugin: what a function changes of its thread is put back, and
// the call fails with what it was.
#include <gtest/gtest.h>

#include <atomic>
#include <limits>
#include <string>
#include <vector>

#include "framework/base/error.hpp"
#include "framework/base/floating_point_state.hpp"
#include "tests/framework/pipeline/test_problem.hpp"

namespace maskerade {
namespace {

constexpr const char* kRounds =
    "it changed the floating-point environment (after it the thread rounds toward zero); a "
    "function "
    "of a plugin must leave it as it was";

TestProblem growing() { return {{1, 2, 1, 1, 70, 4}, Visibility::causal(1, 70)}; }

AttentionInputs first_keys(const TestProblem& problem, std::int64_t key_len) {
  AttentionInputs inputs = problem.inputs();
  inputs.shape.key_len = inputs.k.length = inputs.v.length = key_len;
  inputs.visibility = Visibility::causal(1, key_len);
  return inputs;
}

MaskerUse unruly(const std::string& where) { return use("unruly", {{"", {where}}}); }

// Calls every function of the maskers: builds for 64 keys, appends, selects, truncates.
void call_all(const std::vector<MaskerUse>& maskers,
              const TestProblem& problem,
              const Threads& threads) {
  PreparedPipeline pipeline = Pipeline(maskers).prepare(first_keys(problem, 64), {}, threads);
  pipeline.append(first_keys(problem, 66), threads);
  pipeline.select(threads);
  pipeline.truncate(first_keys(problem, 65), threads);
}

std::string failure_of(const MaskerUse& masker, const Threads& threads = Threads(1)) {
  const TestProblem problem = growing();
  try {
    call_all({masker}, problem, threads);
  } catch (const PluginError& error) {
    const std::string prefix =
        masker.type->library().string() + ": masker \"" + masker.type->id() + "\" ";
    EXPECT_TRUE(std::string(error.what()).starts_with(prefix)) << error.what();
    return std::string(error.what()).substr(prefix.size());
  }
  return "";
}

struct RuleBroken {
  const char* where;
  std::string text;
  friend void PrintTo(const RuleBroken& broken, std::ostream* stream) { *stream << broken.where; }
};

class GuardedCalls : public testing::TestWithParam<RuleBroken> {};

TEST_P(GuardedCalls, FailByMaskerAndReasonAndPutBackWhatChanged) {
  const FloatingPointState before = FloatingPointState::current();
  EXPECT_EQ(failure_of(unruly(GetParam().where)), GetParam().text);
  EXPECT_TRUE(before == FloatingPointState::current());
}

INSTANTIATE_TEST_SUITE_P(
    Functions,
    GuardedCalls,
    testing::Values(
        RuleBroken{"create", std::string("cannot be created: ") + kRounds},
        RuleBroken{"build", std::string("cannot build its index: ") + kRounds},
        RuleBroken{"append", std::string("cannot append to its index: ") + kRounds},
        RuleBroken{"truncate", std::string("cannot truncate its index: ") + kRounds},
        RuleBroken{"size", std::string("cannot tell the size of its index: ") + kRounds},
        RuleBroken{"select", std::string("failed: ") + kRounds},
        RuleBroken{"behind",
                   "failed: it wrote behind the 1024 bytes of its text buffer; cut the text to "
                   "error_size"},
        RuleBroken{
            "throws",
            "failed: it threw an exception (no keys); a function of a plugin must not throw"},
        RuleBroken{"number",
                   "failed: it threw an exception of unknown type; a function of a plugin must not "
                   "throw"},
        RuleBroken{"bytes", "failed: caf\xEF\xBF\xBD"},
        RuleBroken{"null", "cannot build its index: it gave NULL"},
        RuleBroken{"both",
                   "failed: it changed the floating-point environment (after it the thread rounds "
                   "up); a function of a plugin must leave it as it was"}),
    [](const testing::TestParamInfo<RuleBroken>& broken) {
      return std::string(broken.param.where);
    });

#if defined(__x86_64__)
TEST(GuardedCall, NamesTheExceptionsThatTrap) {
  EXPECT_EQ(failure_of(unruly("traps")),
            "failed: it changed the floating-point environment (after it the thread traps division "
            "by zero); a function of a plugin must leave it as it was");
  volatile double zero = 0;
  EXPECT_EQ(1 / zero, std::numeric_limits<double>::infinity());
}
#endif

TEST(GuardedCall, PutsBackWhatChangedOnEveryThread) {
  const Threads threads(3);
  const FloatingPointState before = FloatingPointState::current();
  const TestProblem problem({2, 4, 2, 130, 200, 8}, Visibility::causal(130, 200));
  EXPECT_THROW(Pipeline({unruly("select")})
                   .prepare(problem.inputs(), {.chunk_rows = 1}, threads)
                   .select(threads),
               PluginError);
  std::atomic<int> changed{0};
  threads.for_each(1000, [&](std::int64_t, int) {
    if (!(FloatingPointState::current() == before)) ++changed;
  });
  EXPECT_EQ(changed, 0);
}

// Nobody can be told of what happens when an instance is destroyed: the next one is refused.
TEST(GuardedCall, WhatDestroyingChangesIsPutBackAndFailsTheNextInstance) {
  const FloatingPointState before = FloatingPointState::current();
  const std::string rule =
      " changed the floating-point environment (after it the thread rounds toward zero); a "
      "function "
      "of a plugin must leave it as it was";
  const MaskerUse destroys = unruly("destroy");
  EXPECT_EQ(failure_of(destroys), "");
  EXPECT_TRUE(before == FloatingPointState::current());
  EXPECT_EQ(failure_of(destroys), "cannot be created: of an earlier instance, destroy()" + rule);
  const MaskerUse forgets = unruly("forget");
  EXPECT_EQ(failure_of(forgets), "");
  EXPECT_TRUE(before == FloatingPointState::current());
  EXPECT_EQ(failure_of(forgets),
            "cannot be created: of an earlier instance, destroy() of its index" + rule);
}

#if defined(__x86_64__)
TEST(GuardedCall, ALibraryLinkedWithFastMathIsHarmlessUntilItIsUsed) {
  const auto half_of_smallest = [] {
    volatile float smallest = std::numeric_limits<float>::min();
    return smallest / 2;
  };
  const FloatingPointState before = FloatingPointState::current();
  const MaskerUse flushing = use("flushing");
  EXPECT_TRUE(before == FloatingPointState::current());
  EXPECT_GT(half_of_smallest(), 0);
  EXPECT_EQ(flushing.type->load_effect(), "flushes denormals to zero, takes denormals for zero");
  EXPECT_EQ(
      failure_of(flushing),
      "cannot be created: loading its library changed the floating-point environment (after it the "
      "thread flushes denormals to zero, takes denormals for zero); link it without -ffast-math, "
      "which adds code that does this, even if you compile it with -ffast-math");
  EXPECT_EQ(use("flushing").type->load_effect(), flushing.type->load_effect())
      << "it is remembered where the library is loaded already";
  EXPECT_EQ(use("sink").type->load_effect(), "");
}
#endif

}  // namespace
}  // namespace maskerade
