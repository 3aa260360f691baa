#include "experiments/benchmarks/work_pool.hpp"

#include <gtest/gtest.h>

#include <sstream>

#include "experiments/benchmarks/check_all.hpp"
#include "experiments/benchmarks/function_work.hpp"
#include "experiments/benchmarks/serve.hpp"
#include "framework/base/error.hpp"

namespace maskerade {
namespace {

// How often a case was created, set up and run.
struct Calls {
  int created = 0;
  int set_up = 0;
  int run = 0;
};
// Two cases: "test/good" counts its calls, "test/wrong" counts its runs and fails its check.
std::vector<BenchmarkCase> cases(const std::shared_ptr<Calls>& calls) {
  return {
      {"test/good",
       [=](const BenchmarkContext&, const Threads&) {
         ++calls->created;
         return function_work(
             {.set_up = [=] { ++calls->set_up; }, .run = [=] { ++calls->run; }, .check = [] {}});
       }},
      {"test/wrong", [=](const BenchmarkContext&, const Threads&) {
         return function_work(
             {.run = [=] { ++calls->run; }, .check = [] { require(false, "one key is missing"); }});
       }}};
}

TEST(WorkPool, MakesRunsAndChecksACaseOnceForEachNumberOfThreads) {
  const auto calls = std::make_shared<Calls>();
  WorkPool pool(Catalog(), cases(calls));
  BenchmarkWork& work = pool.work(pool.find("test/good"), 1);
  EXPECT_EQ(&work, &pool.work(pool.find("test/good"), 1));
  EXPECT_EQ(calls->created, 1);
  EXPECT_EQ(calls->run, 1);
  pool.work(pool.find("test/good"), 2);
  EXPECT_EQ(calls->created, 2);
  pool.forget_works();
  pool.work(pool.find("test/good"), 2);
  EXPECT_EQ(calls->created, 3);
}

TEST(WorkPool, ACaseThatFailsItsCheckIsNeverTimed) {
  const auto calls = std::make_shared<Calls>();
  WorkPool pool(Catalog(), cases(calls));
  for (int time = 0; time < 2; ++time) {
    EXPECT_THROW(pool.work(pool.find("test/wrong"), 1), Error);
  }
  EXPECT_EQ(calls->run, 1);
  std::istringstream requests("test/wrong 1\n");
  std::ostringstream answers;
  serve(pool, requests, answers);
  EXPECT_EQ(answers.str(), "{\"error\":\"one key is missing\"}\n");
  EXPECT_EQ(check_all(pool, {1, 2}), 2);
}

TEST(WorkPool, EveryRunOfASampleIsSetUp) {
  const auto calls = std::make_shared<Calls>();
  WorkPool pool(Catalog(), cases(calls));
  BenchmarkWork& work = pool.work(pool.find("test/good"), 1);
  EXPECT_GT(sample_ms(work), 0);
  EXPECT_GT(calls->run, 2);
  EXPECT_EQ(calls->set_up, calls->run);
}

}  // namespace
}  // namespace maskerade
