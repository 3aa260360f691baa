#include "experiments/check/heap_growth.hpp"

#include <gtest/gtest.h>

#include <memory>
#include <vector>

namespace maskerade::check {
namespace {

class Heap : public testing::Test {
 protected:
  void SetUp() override {
    if (!heap_bytes_in_use()) GTEST_SKIP() << "a sanitizer owns the heap";
  }
};

TEST_F(Heap, ThatIsGivenBackHasNotGrown) {
  const HeapGrowth growth =
      heap_growth([] { const std::vector<char> given_back(1000, 'x'); }).value();
  EXPECT_FALSE(growth.is_leak()) << growth.bytes;
  EXPECT_GE(growth.rounds, 62);
}

TEST_F(Heap, OfWhichAFewBytesARoundAreLostLeaks) {
  std::vector<std::unique_ptr<char>> lost(100'000);
  std::size_t next = 0;
  const HeapGrowth growth =
      heap_growth([&] { lost.at(next++) = std::make_unique<char>('x'); }).value();
  EXPECT_TRUE(growth.is_leak()) << growth.bytes;
  EXPECT_GE(growth.bytes, growth.rounds);
}

// A cache that is filled once is none, however late.
TEST_F(Heap, ThatIsFilledOnceDoesNotLeak) {
  std::vector<char> cache;
  int round = 0;
  const HeapGrowth growth = heap_growth([&] {
                              if (++round == 20) cache.resize(1'000'000);
                            }).value();
  EXPECT_FALSE(growth.is_leak()) << growth.bytes;
}

TEST_F(Heap, OfAVectorThatDoublesLeaks) {
  std::vector<std::int64_t> kept;
  const HeapGrowth growth = heap_growth([&] { kept.push_back(1); }).value();
  EXPECT_TRUE(growth.is_leak()) << growth.bytes;
}

}  // namespace
}  // namespace maskerade::check
