#include "framework/mask/detail/word_kernels.hpp"

#include <bit>
#include <cmath>
#include <limits>

#include "framework/mask/detail/probability.hpp"
#include "tests/framework/mask/naive_mask.hpp"
#include "tests/framework/select/each_target.hpp"

namespace maskerade::detail {
namespace {

using maskerade::testing::draw;
using maskerade::testing::Kind;
using maskerade::testing::random_engine;
using maskerade::testing::random_mask;
using maskerade::testing::random_visibility;

constexpr std::uint64_t kOnes = ~std::uint64_t{0};
constexpr WordOperation kUnion{kOnes, kOnes, kOnes};
constexpr WordOperation kIntersection{};
constexpr WordOperation kDifference{.flip_b = kOnes};

std::uint64_t combined(const WordOperation& operation, std::uint64_t a, std::uint64_t b) {
  return ((a ^ operation.flip_a) & (b ^ operation.flip_b)) ^ operation.flip_result;
}

TEST(WordOperation, IsTheSetOperation) {
  constexpr std::uint64_t kA = 0b1100;
  constexpr std::uint64_t kB = 0b1010;
  EXPECT_EQ(combined(kUnion, kA, kB), kA | kB);
  EXPECT_EQ(combined(kIntersection, kA, kB), kA & kB);
  EXPECT_EQ(combined(kDifference, kA, kB), kA & ~kB);
}

// A random word that is often 0 or all ones.
std::uint64_t random_word(std::mt19937_64& engine) {
  switch (engine() % 4) {
    case 0:
      return 0;
    case 1:
      return kOnes;
    default:
      return engine();
  }
}

std::vector<std::uint64_t> random_words(std::mt19937_64& engine, std::size_t count) {
  std::vector<std::uint64_t> words(count);
  for (std::uint64_t& word : words) word = random_word(engine);
  return words;
}

WordOperation random_operation() { return *rc::gen::element(kUnion, kIntersection, kDifference); }

RC_GTEST_PROP(CombineTile, IsTheOperationOnEveryTarget, ()) {
  std::mt19937_64 engine = random_engine();
  const auto rows = static_cast<std::size_t>(draw(1, 64));
  const bool alike = draw(0, 1) == 0;
  const auto a =
      alike ? std::vector<std::uint64_t>(rows, random_word(engine)) : random_words(engine, rows);
  const auto b =
      alike ? std::vector<std::uint64_t>(rows, random_word(engine)) : random_words(engine, rows);
  const auto visible = alike ? std::vector<std::uint64_t>(rows, kOnes) : random_words(engine, rows);
  const WordOperation operation = random_operation();
  std::vector<std::uint64_t> expected(rows);
  for (std::size_t row = 0; row < rows; ++row) {
    expected[row] = combined(operation, a[row], b[row]);
  }
  for_each_target([&](const char*) {
    std::vector<std::uint64_t> result(rows);
    const TileSummary summary = combine_tile(operation, a.data(), b.data(), visible.data(),
                                             static_cast<int>(rows), result.data());
    RC_ASSERT(result == expected);
    RC_ASSERT(summary.is_empty == (expected == std::vector<std::uint64_t>(rows)));
    RC_ASSERT(summary.is_full == (expected == visible));
  });
}

// 64 random tiles of one row: as combine_one_row() takes them, and the word of each tile.
struct Row {
  explicit Row(std::mt19937_64& engine, const std::vector<std::uint64_t>& visible) {
    const std::uint64_t any = random_word(engine);
    tiles.full = any & random_word(engine);
    tiles.partial = any & ~tiles.full;
    for (std::size_t t = 0; t < 64; ++t) {
      if ((tiles.full >> t & 1U) != 0) by_tile[t] = visible[t];
      if ((tiles.partial >> t & 1U) == 0) continue;
      by_tile[t] = random_word(engine);
      stored.push_back(by_tile[t]);
    }
    stored.resize(stored.size() + kSlack, engine());
    tiles.words = stored.data();
  }

  OneRowTiles tiles;
  std::vector<std::uint64_t> stored;
  std::vector<std::uint64_t> by_tile = std::vector<std::uint64_t>(64);
};

RC_GTEST_PROP(CombineOneRow, IsTheOperationOnEveryTarget, ()) {
  std::mt19937_64 engine = random_engine();
  auto visible = std::vector<std::uint64_t>(64, kOnes);
  if (draw(0, 1) == 0) visible[static_cast<std::size_t>(draw(0, 63))] = 0xffff;
  const Row a(engine, visible);
  const Row b(engine, visible);
  const std::uint64_t open = random_word(engine);
  const WordOperation operation = random_operation();
  std::vector<std::uint64_t> expected;
  GroupSummary expected_summary;
  for (std::size_t t = 0; t < 64; ++t) {
    const std::uint64_t word = combined(operation, a.by_tile[t], b.by_tile[t]);
    if ((open >> t & 1U) == 0 || word == 0) continue;
    expected_summary.any |= std::uint64_t{1} << t;
    if (word == visible[t]) {
      expected_summary.full |= std::uint64_t{1} << t;
    } else {
      expected.push_back(word);
    }
  }
  for_each_target([&](const char*) {
    std::vector<std::uint64_t> result(64 + kSlack);
    const GroupSummary summary =
        combine_one_row(operation, a.tiles, b.tiles, visible.data(), open, result.data());
    RC_ASSERT(summary.any == expected_summary.any);
    RC_ASSERT(summary.full == expected_summary.full);
    result.resize(expected.size());
    RC_ASSERT(result == expected);
  });
}

RC_GTEST_PROP(WriteKeys, WritesEverySetBitOnEveryTarget, ()) {
  std::mt19937_64 engine = random_engine();
  const auto words = random_words(engine, static_cast<std::size_t>(draw(0, 20)));
  std::vector<std::int32_t> first_keys;
  std::vector<std::int32_t> expected;
  for (std::size_t i = 0; i < words.size(); ++i) {
    first_keys.push_back(static_cast<std::int32_t>(128 * i));
    for (std::int32_t j = 0; j < 64; ++j) {
      if ((words[i] >> j & 1U) != 0) expected.push_back(first_keys[i] + j);
    }
  }
  for_each_target([&](const char*) {
    std::vector<std::int32_t> keys(expected.size() + kSlack);
    const std::int32_t* end =
        write_keys(words.data(), first_keys.data(), words.size(), keys.data());
    RC_ASSERT(end == keys.data() + expected.size());
    keys.resize(expected.size());
    RC_ASSERT(keys == expected);
  });
}

RC_GTEST_PROP(WriteOnes, AndReadWeightsRoundTripOnEveryTarget, ()) {
  std::mt19937_64 engine = random_engine();
  const auto count = static_cast<int>(draw(1, 64));
  const std::uint64_t word = random_word(engine) & (kOnes >> (64 - count));
  for_each_target([&](const char*) {
    std::vector<float> weights(64, 7.0F);
    write_ones(word, count, weights.data());
    for (int j = 0; j < 64; ++j) {
      const float expected = j < count ? static_cast<float>(word >> j & 1U) : 7.0F;
      RC_ASSERT(weights[static_cast<std::size_t>(j)] == expected);
    }
    const WeightBits bits = read_weights(weights.data(), count);
    RC_ASSERT(bits.ones == word);
    RC_ASSERT(bits.sampled == 0U);
    RC_ASSERT(bits.invalid == 0U);
  });
}

TEST(ReadWeights, SortsEveryKindOfWeight) {
  constexpr float kInf = std::numeric_limits<float>::infinity();
  const std::vector<float> kinds = {0.0F,
                                    -0.0F,
                                    1.0F,
                                    0.5F,
                                    std::numeric_limits<float>::denorm_min(),
                                    std::nextafter(1.0F, 0.0F),
                                    std::nextafter(1.0F, 2.0F),
                                    -0.5F,
                                    kInf,
                                    -kInf,
                                    std::numeric_limits<float>::quiet_NaN()};
  std::vector<float> weights;
  for (int i = 0; i < 64; ++i) weights.push_back(kinds[static_cast<std::size_t>(i) % kinds.size()]);
  for (const int count : {1, 11, 40, 64}) {
    WeightBits expected;
    for (int j = 0; j < count; ++j) {
      const int kind = j % static_cast<int>(kinds.size());
      (kind == 2                ? expected.ones
       : kind >= 3 && kind <= 5 ? expected.sampled
                                : expected.invalid) |= std::uint64_t{kind > 1} << j;
    }
    for_each_target([&](const char* target) {
      const WeightBits bits = read_weights(weights.data(), count);
      EXPECT_EQ(bits.ones, expected.ones) << target << count;
      EXPECT_EQ(bits.sampled, expected.sampled) << target << count;
      EXPECT_EQ(bits.invalid, expected.invalid) << target << count;
    });
  }
}

RC_GTEST_PROP(UniteProbabilities, IsTheScalarRuleBitForBitOnEveryTarget, ()) {
  std::mt19937_64 engine = random_engine();
  const auto random_probability = [&] {
    switch (engine() % 8) {
      case 0:
        return 0.0F;
      case 1:
        return 1.0F;
      case 2:
        return kMostSampled;
      case 3:
        return std::numeric_limits<float>::denorm_min();
      default:
        return static_cast<float>(engine() % (1U << 24)) / static_cast<float>(1U << 24);
    }
  };
  std::vector<float> p(static_cast<std::size_t>(draw(0, 40)));
  std::vector<float> q(p.size());
  std::vector<float> expected;
  for (std::size_t i = 0; i < p.size(); ++i) {
    p[i] = random_probability();
    q[i] = random_probability();
    expected.push_back(united_probability(p[i], q[i]));
  }
  for_each_target([&](const char*) {
    std::vector<float> united = p;
    unite_probabilities(united.data(), q.data(), q.size());
    RC_ASSERT(united == expected);
  });
}

RC_GTEST_PROP(SetOperations, AreTheSameOnEveryTarget, ()) {
  const Visibility visibility = random_visibility();
  const Kind kind = draw(0, 1) == 0 ? Kind::kBits : Kind::kSampled;
  const Mask a = random_mask(visibility, {1, 2}, kind);
  const Mask b = random_mask(visibility, {1, 2}, kind);
  const Mask united = union_of(a, b);
  const Mask shared = intersection_of(a, b);
  const Mask left = difference_of(a, b);
  const CompressedRows rows = to_compressed_rows(a);
  const std::vector<float> dense = to_dense(a);
  for_each_target([&](const char*) {
    RC_ASSERT(union_of(a, b) == united);
    RC_ASSERT(intersection_of(a, b) == shared);
    RC_ASSERT(difference_of(a, b) == left);
    RC_ASSERT(to_compressed_rows(a).keys == rows.keys);
    RC_ASSERT(to_dense(a) == dense);
    RC_ASSERT(from_dense(visibility, {1, 2}, dense) == a);
  });
}

}  // namespace
}  // namespace maskerade::detail
