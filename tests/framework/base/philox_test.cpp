#include "framework/base/philox.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <set>

namespace maskerade {
namespace {

using Words = std::array<std::uint32_t, 4>;

// The known answers that Random123, the authors' library, publishes for philox4x32-10.
TEST(Philox, AgreesWithTheKnownAnswers) {
  EXPECT_EQ(philox({0, 0, 0, 0}, {0, 0}),
            (Words{0x6627e8d5U, 0xe169c58dU, 0xbc57ac4cU, 0x9b00dbd8U}));
  EXPECT_EQ(
      philox({0xffffffffU, 0xffffffffU, 0xffffffffU, 0xffffffffU}, {0xffffffffU, 0xffffffffU}),
      (Words{0x408f276dU, 0x41c83b0eU, 0xa20bc7c6U, 0x6d5451fdU}));
  EXPECT_EQ(
      philox({0x243f6a88U, 0x85a308d3U, 0x13198a2eU, 0x03707344U}, {0xa4093822U, 0x299f31d0U}),
      (Words{0xd16cfe09U, 0x94fdccebU, 0x5001e420U, 0x24126ea1U}));
}

TEST(RandomField, EveryPartOfTheKeyAndAddressCounts) {
  const RandomKey key{.seed = 1, .stream = 2, .layer = 3, .batch = 4, .head = 5, .purpose = 6};
  std::set<std::uint32_t> seen;
  const auto add = [&](RandomKey changed, std::uint64_t row, std::uint32_t column) {
    seen.insert(RandomField(changed).bits(row, column));
  };
  add(key, 7, 8);
  add(key, 8, 8);
  add(key, 7, 9);
  add(key, 7 + (std::uint64_t{1} << 32), 8);
  RandomKey changed = key;
  changed.seed += 1;
  add(changed, 7, 8);
  changed = key;
  changed.seed += std::uint64_t{1} << 32;
  add(changed, 7, 8);
  changed = key;
  changed.stream += 1;
  add(changed, 7, 8);
  changed = key;
  changed.layer += 1;
  add(changed, 7, 8);
  changed = key;
  changed.batch += 1;
  add(changed, 7, 8);
  changed = key;
  changed.head += 1;
  add(changed, 7, 8);
  changed = key;
  changed.purpose += 1;
  add(changed, 7, 8);
  EXPECT_EQ(seen.size(), 11U);
}

TEST(RandomField, TheSameAddressGivesTheSameNumber) {
  const RandomKey key{.seed = 42};
  const RandomField a(key);
  const RandomField b(key);
  EXPECT_EQ(a.uniform(3, 4), b.uniform(3, 4));
  EXPECT_EQ(a.normal(3, 4), b.normal(3, 4));
}

// 100,000 draws with a fixed seed. The standard deviation of the mean of n uniform numbers is
// 1 / sqrt(12 n), that of the mean of n normal numbers 1 / sqrt(n), and that of their variance
// sqrt(2 / n). Six standard deviations are allowed, which correct numbers exceed with probability
// 2e-9.
TEST(RandomField, UniformsAndNormalsHaveTheirMoments) {
  constexpr int kDraws = 100000;
  const RandomField field({.seed = 7});
  double uniform_sum = 0;
  double normal_sum = 0;
  double normal_squares = 0;
  for (int i = 0; i < kDraws; ++i) {
    const double uniform = field.uniform(static_cast<std::uint64_t>(i / 100), i % 100);
    ASSERT_GE(uniform, 0.0);
    ASSERT_LT(uniform, 1.0);
    uniform_sum += uniform;
    const double normal = field.normal(static_cast<std::uint64_t>(i / 100), i % 100);
    ASSERT_TRUE(std::isfinite(normal));
    normal_sum += normal;
    normal_squares += normal * normal;
  }
  EXPECT_NEAR(uniform_sum / kDraws, 0.5, 6.0 / std::sqrt(12.0 * kDraws));
  EXPECT_NEAR(normal_sum / kDraws, 0.0, 6.0 / std::sqrt(kDraws));
  EXPECT_NEAR(normal_squares / kDraws, 1.0, 6.0 * std::sqrt(2.0 / kDraws));
}

}  // namespace
}  // namespace maskerade
