#include "framework/select/draw.hpp"

#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <utility>

#include "tests/framework/select/each_target.hpp"

namespace maskerade {
namespace {

using Keys = std::vector<std::int32_t>;

// The draw as it is defined: sorts the candidates by (random number, key) and takes the first ones.
Keys sorted_draw(const RandomField& field,
                 std::uint64_t row,
                 std::int64_t n,
                 const std::vector<std::uint64_t>& excluded,
                 std::int64_t count) {
  std::vector<std::pair<std::uint32_t, std::int32_t>> order;
  for (std::int32_t key = 0; key < n; ++key) {
    const auto word = static_cast<std::size_t>(key / 64);
    if (((excluded[word] >> (key % 64)) & 1U) != 0) continue;
    order.emplace_back(field.bits(row, static_cast<std::uint32_t>(key)), key);
  }
  std::sort(order.begin(), order.end());
  order.resize(static_cast<std::size_t>(
      std::clamp<std::int64_t>(count, 0, static_cast<std::int64_t>(order.size()))));
  Keys keys;
  for (const auto& [number, key] : order) keys.push_back(key);
  std::sort(keys.begin(), keys.end());
  return keys;
}

Keys draw(const RandomField& field,
          std::uint64_t row,
          std::int64_t n,
          const std::vector<std::uint64_t>& excluded,
          std::int64_t count) {
  Draw one;
  const auto keys = one.select(field, row, 0, n, excluded, count);
  return {keys.begin(), keys.end()};
}

std::vector<std::uint64_t> none_excluded(std::int64_t n) {
  return std::vector<std::uint64_t>(static_cast<std::size_t>((n + 63) / 64));
}

const RandomField& field_of_test() {
  static const RandomField field({.seed = 11, .stream = 2, .layer = 3, .batch = 4, .head = 5});
  return field;
}

TEST(Draw, EdgesOfCount) {
  EXPECT_TRUE(draw(field_of_test(), 0, 3, {0}, 0).empty());
  EXPECT_TRUE(draw(field_of_test(), 0, 3, {0}, -1).empty());
  EXPECT_TRUE(draw(field_of_test(), 0, 0, {}, 2).empty());
  EXPECT_EQ(draw(field_of_test(), 0, 3, {0}, 3), (Keys{0, 1, 2}));
  EXPECT_EQ(draw(field_of_test(), 0, 3, {0}, 9), (Keys{0, 1, 2}));
  EXPECT_EQ(draw(field_of_test(), 0, 3, {0b010}, 2), (Keys{0, 2}));
  EXPECT_TRUE(draw(field_of_test(), 0, 3, {0b111}, 2).empty());
}

TEST(Draw, TakesTheSmallestNumbersOnEachTarget) {
  for (const std::int64_t n : {1, 63, 64, 65, 1000, 4096, 40000}) {
    const auto excluded = none_excluded(n);
    for (const std::int64_t count : {std::int64_t{1}, n / 50, n / 3, n - 1}) {
      const std::uint64_t row = static_cast<std::uint64_t>(n) << 31;
      const Keys expected = sorted_draw(field_of_test(), row, n, excluded, count);
      for_each_target([&](const char* target) {
        EXPECT_EQ(draw(field_of_test(), row, n, excluded, count), expected)
            << target << ", " << count << " of " << n;
      });
    }
  }
}

TEST(Draw, KeysMayBeginAnywhere) {
  const Keys all = draw(field_of_test(), 7, 1024, none_excluded(1024), 512);
  const auto from = std::lower_bound(all.begin(), all.end(), 640);
  auto excluded = none_excluded(384);
  Draw one;
  for (std::int64_t key = 0; key < 384; ++key) {
    if (std::binary_search(from, all.end(), static_cast<std::int32_t>(640 + key))) continue;
    excluded[static_cast<std::size_t>(key / 64)] |= std::uint64_t{1} << (key % 64);
  }
  const auto count = (all.end() - from) / 3;
  // A key has the same random number whatever the range begins with: excluding all keys before it
  // from a range that begins at 0 must give the same draw.
  auto before = std::vector<std::uint64_t>(10, ~std::uint64_t{0});
  before.insert(before.end(), excluded.begin(), excluded.end());
  const Keys expected = sorted_draw(field_of_test(), 7, 1024, before, count);
  const auto keys = one.select(field_of_test(), 7, 640, 1024, excluded, count);
  EXPECT_EQ(Keys(keys.begin(), keys.end()), expected);
  EXPECT_EQ(one.candidates(), all.end() - from);
}

RC_GTEST_PROP(Draw, AgreesWithASort, ()) {
  const auto n = *rc::gen::inRange<std::int64_t>(1, 700);
  auto excluded = none_excluded(n);
  for (std::uint64_t& word : excluded) word = *rc::gen::arbitrary<std::uint64_t>();
  if (*rc::gen::arbitrary<bool>()) excluded.front() = ~std::uint64_t{0};
  const auto count = *rc::gen::inRange<std::int64_t>(0, n + 2);
  const auto row = *rc::gen::arbitrary<std::uint64_t>();
  const RandomField field({.seed = *rc::gen::arbitrary<std::uint64_t>()});
  RC_ASSERT(draw(field, row, n, excluded, count) == sorted_draw(field, row, n, excluded, count));
}

// Among so many rows some have random numbers so uneven that the draw's guess, which nearly always
// holds, fails.
TEST(Draw, RowsBeyondTheLikelyBoundsAreExact) {
  Draw one;
  for (const auto& [n, count] : {std::pair{64, 2}, std::pair{1000, 100}}) {
    const auto excluded = none_excluded(n);
    for (std::uint64_t row = 0; row < 20000; ++row) {
      const auto keys = one.select(field_of_test(), row, 0, n, excluded, count);
      ASSERT_EQ(Keys(keys.begin(), keys.end()),
                sorted_draw(field_of_test(), row, n, excluded, count))
          << row;
    }
  }
}

}  // namespace
}  // namespace maskerade
