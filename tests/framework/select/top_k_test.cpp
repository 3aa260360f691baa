#include "framework/select/top_k.hpp"

#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <random>

#include "tests/framework/select/each_target.hpp"

namespace maskerade {
namespace {

constexpr float kInf = std::numeric_limits<float>::infinity();
constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();

// The selection as it is defined: sorts the candidates stably by descending score, takes the first
// ones.
std::vector<std::int32_t> sorted_top_k(const std::vector<float>& scores,
                                       const std::vector<std::uint64_t>& excluded,
                                       std::int64_t count) {
  std::vector<std::int32_t> order;
  for (std::size_t i = 0; i < scores.size(); ++i) {
    if (excluded.empty() || ((excluded[i / 64] >> (i % 64)) & 1U) == 0) {
      order.push_back(static_cast<std::int32_t>(i));
    }
  }
  const auto value = [&](std::int32_t i) {
    const float score = scores[static_cast<std::size_t>(i)];
    return std::isnan(score) ? -kInf : score;
  };
  std::stable_sort(order.begin(), order.end(),
                   [&](std::int32_t a, std::int32_t b) { return value(a) > value(b); });
  const auto kept = std::clamp<std::int64_t>(count, 0, static_cast<std::int64_t>(order.size()));
  order.resize(static_cast<std::size_t>(kept));
  std::sort(order.begin(), order.end());
  return order;
}

std::vector<std::int32_t> top_k(const std::vector<float>& scores,
                                const std::vector<std::uint64_t>& excluded,
                                std::int64_t count) {
  TopK top;
  const auto indices = top.select(scores, excluded, count);
  return {indices.begin(), indices.end()};
}

TEST(TopK, EdgesOfCount) {
  const std::vector<float> scores = {1, 3, 2};
  EXPECT_TRUE(top_k(scores, {}, 0).empty());
  EXPECT_TRUE(top_k(scores, {}, -4).empty());
  EXPECT_EQ(top_k(scores, {}, 1), (std::vector<std::int32_t>{1}));
  EXPECT_EQ(top_k(scores, {}, 3), (std::vector<std::int32_t>{0, 1, 2}));
  EXPECT_EQ(top_k(scores, {}, 99), (std::vector<std::int32_t>{0, 1, 2}));
  EXPECT_TRUE(top_k({}, {}, 2).empty());
}

TEST(TopK, ExcludedKeysAreNoCandidates) {
  const std::vector<float> scores = {1, 3, 2};
  EXPECT_EQ(top_k(scores, {0b010}, 1), (std::vector<std::int32_t>{2}));
  EXPECT_EQ(top_k(scores, {0b010}, 5), (std::vector<std::int32_t>{0, 2}));
  EXPECT_TRUE(top_k(scores, {~std::uint64_t{0}}, 2).empty());
  EXPECT_EQ(top_k(scores, {~std::uint64_t{7}}, 2), (std::vector<std::int32_t>{1, 2}))
      << "bits past the end do not count";
}

TEST(TopK, TiesGoToTheLowerIndex) {
  EXPECT_EQ(top_k({2, 2, 2, 2}, {}, 2), (std::vector<std::int32_t>{0, 1}));
  EXPECT_EQ(top_k({0.0F, -0.0F, 0.0F}, {}, 2), (std::vector<std::int32_t>{0, 1}));
  EXPECT_EQ(top_k({-0.0F, 0.0F, -1}, {}, 1), (std::vector<std::int32_t>{0}));
}

TEST(TopK, SpecialValues) {
  EXPECT_EQ(top_k({kNaN, -kInf, 1, kInf}, {}, 2), (std::vector<std::int32_t>{2, 3}));
  EXPECT_EQ(top_k({-kInf, kNaN, -kInf}, {}, 2), (std::vector<std::int32_t>{0, 1}));
  EXPECT_EQ(top_k({kNaN, -kInf}, {}, 1), (std::vector<std::int32_t>{0})) << "NaN ties with -inf";
  EXPECT_EQ(top_k({-kNaN, -1e38F}, {}, 1), (std::vector<std::int32_t>{1}));
  const float tiny = std::numeric_limits<float>::denorm_min();
  EXPECT_EQ(top_k({0, tiny, -tiny}, {}, 1), (std::vector<std::int32_t>{1}));
}

// The rows are long enough that a threshold is guessed from a sample, and of distributions with
// which the guess is good, bad or impossible.
TEST(TopK, LongRowsEqualAStableSortOnEveryTarget) {
  std::mt19937 engine(7);
  std::normal_distribution<float> normal;
  for (const std::size_t n : {700U, 5003U, 20000U}) {
    std::vector<std::vector<float>> rows;
    std::vector<float> scores(n);
    for (float& score : scores) score = normal(engine);
    rows.push_back(scores);
    for (float& score : scores) score = static_cast<float>(engine() % 5);  // many equal scores
    rows.push_back(scores);
    rows.emplace_back(n, 1.0F);
    rows.emplace_back(n, kNaN);
    std::fill(scores.begin(), scores.end(), -kInf);
    for (std::size_t i = 0; i < 40; ++i) scores[n - 1 - i * 3] = static_cast<float>(i);
    rows.push_back(scores);  // fewer finite scores than are asked for
    for (std::size_t i = 0; i < n; ++i) scores[i] = static_cast<float>(n - i);
    rows.push_back(scores);
    for (std::size_t i = 0; i < n; ++i) scores[i] = static_cast<float>(std::min(i, n - i) % 999);
    rows.push_back(scores);
    std::vector<std::uint64_t> excluded((n + 63) / 64);
    for (std::uint64_t& word : excluded) word = (std::uint64_t{engine()} << 32) | engine();
    std::vector<std::uint64_t> nearly_all((n + 63) / 64, ~std::uint64_t{0});
    nearly_all[3] = 0xF0F0;
    for (std::size_t row = 0; row < rows.size(); ++row) {
      for (const auto& words : {std::vector<std::uint64_t>{}, excluded, nearly_all}) {
        for (const std::int64_t count :
             {1, 7, 100, 600, static_cast<int>(n) / 2, static_cast<int>(n) - 1}) {
          const std::vector<std::int32_t> expected = sorted_top_k(rows[row], words, count);
          for_each_target([&](const char* target) {
            EXPECT_EQ(top_k(rows[row], words, count), expected)
                << target << " n " << n << " row " << row << " count " << count;
          });
        }
      }
    }
  }
}

TEST(TopK, OneObjectServesRowsOfAnyLength) {
  std::mt19937 engine(3);
  TopK top;
  for (const std::size_t n : {3000U, 64U, 1U, 900U, 65U, 5000U}) {
    std::vector<float> scores(n);
    for (float& score : scores) score = static_cast<float>(engine() % 100);
    const auto indices = top.select(scores, {}, 50);
    const std::vector<std::int32_t> expected = sorted_top_k(scores, {}, 50);
    EXPECT_TRUE(std::equal(indices.begin(), indices.end(), expected.begin(), expected.end())) << n;
  }
}

TEST(TopK, BitsAreTheIndices) {
  std::mt19937 engine(4);
  for (const std::size_t n : {1U, 64U, 100U, 2000U}) {
    std::vector<float> scores(n);
    for (float& score : scores) score = static_cast<float>(engine() % 50);
    for (const std::int64_t count : {0, 1, 20, 1000, 5000}) {
      TopK top;
      const auto bits = top.select_bits(scores, {}, count);
      ASSERT_EQ(bits.size(), (n + 63) / 64);
      std::vector<std::int32_t> set;
      for (std::size_t i = 0; i < bits.size() * 64; ++i) {
        if (((bits[i / 64] >> (i % 64)) & 1U) != 0) set.push_back(static_cast<std::int32_t>(i));
      }
      EXPECT_EQ(set, sorted_top_k(scores, {}, count)) << n << " " << count;
    }
  }
}

RC_GTEST_PROP(TopK, EqualsAStableSort, ()) {
  const auto length = *rc::gen::inRange<std::size_t>(1, 300);
  const auto scores = *rc::gen::container<std::vector<float>>(
      length, rc::gen::oneOf(rc::gen::element(0.0F, -0.0F, 1.0F, -1.0F, kInf, -kInf, kNaN, 1e-42F),
                             rc::gen::map(rc::gen::inRange(-1000, 1000), [](int value) {
                               return static_cast<float>(value) / 8;
                             })));
  const bool exclude = *rc::gen::arbitrary<bool>();
  const auto excluded = *rc::gen::container<std::vector<std::uint64_t>>(
      exclude ? (length + 63) / 64 : 0, rc::gen::arbitrary<std::uint64_t>());
  const auto count = *rc::gen::inRange<std::int64_t>(-1, 320);
  RC_ASSERT(top_k(scores, excluded, count) == sorted_top_k(scores, excluded, count));
}

}  // namespace
}  // namespace maskerade
