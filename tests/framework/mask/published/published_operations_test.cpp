#include "framework/mask/published/published_operations.hpp"

#include "tests/framework/mask/naive_mask.hpp"
#include "tests/framework/select/each_target.hpp"

namespace maskerade {
namespace {

using testing::shape_error_of;

constexpr PublishedShape kRow{1, 1, 1, 4};
const std::vector<float> kX = {3.0F, -2.0F, 5.0F, 7.0F};

PublishedMask row(std::vector<float> weights) {
  return PublishedMask::from_dense(kRow, std::move(weights));
}

TEST(ApplyMask, MultipliesByTheWeights) {
  EXPECT_EQ(apply_mask(row({0, 0.5F, 1, 0.25F}), kX), (std::vector<float>{0, -1, 5, 1.75F}));
}

TEST(ApplyInvMask, DividesByTheWeightsExactly) {
  EXPECT_EQ(apply_inv_mask(row({0, 0.5F, 1, 0.3F}), kX),
            (std::vector<float>{0, -4, 5, 7.0F / 0.3F}));
}

TEST(ApplyInvMask, PublishedRulesAddTheirEpsilonToTheWeights) {
  const std::vector<float> by_key =
      apply_inv_mask(row({0, 0.5F, 1, 0.3F}), kX, PublishedRules::as_published());
  const float inactive = by_key[0];
  const float of_weight_one = by_key[2];
  EXPECT_EQ(inactive, 0);
  EXPECT_EQ(of_weight_one, 5.0F * (1.0F / (1.0F + 1e-6F)));
  EXPECT_LT(of_weight_one, 5.0F);
}

TEST(ApplyMask, InactiveEntriesAreZeroWhateverStandsThere) {
  const std::vector<float> x(4, std::numeric_limits<float>::infinity());
  const std::vector<float> zeros(4, 0.0F);
  EXPECT_EQ(apply_mask(row({0, 0, 0, 0}), x), zeros);
  EXPECT_EQ(apply_inv_mask(row({0, 0, 0, 0}), x), zeros);
}

TEST(ApplyMask, FullFlagReturnsTheInput) {
  for (const PublishedRules& rules : {PublishedRules{}, PublishedRules::as_published()}) {
    EXPECT_EQ(apply_mask(PublishedMask::flagged_full(kRow), kX, rules), kX);
    EXPECT_EQ(apply_inv_mask(PublishedMask::flagged_full(kRow), kX, rules), kX);
  }
}

TEST(ApplyMask, EmptyFlagClearsTheInputUnlessByThePublishedRules) {
  const PublishedMask empty = PublishedMask::flagged_empty(kRow);
  const std::vector<float> zeros(4, 0.0F);
  EXPECT_EQ(apply_mask(empty, kX), zeros);
  EXPECT_EQ(apply_inv_mask(empty, kX), zeros);
  EXPECT_EQ(apply_mask(empty, kX, PublishedRules::as_published()), kX);
  EXPECT_EQ(apply_inv_mask(empty, kX, PublishedRules::as_published()), kX);
  EXPECT_EQ(apply_mask(row({0, 0, 0, 0}), kX, PublishedRules::as_published()), zeros);
}

TEST(ApplyMask, RefusesAnInputOfAnotherSize) {
  EXPECT_EQ(shape_error_of([] {
              apply_mask(row({1, 1, 1, 1}), std::vector<float>(3));
            }),
            "x has 3 elements; a mask of shape (1, 1, 1, 4) takes 4");
}

TEST(ApplyMask, RefusesAResultOfAnotherSize) {
  std::vector<float> result(5);
  EXPECT_EQ(shape_error_of([&] {
              apply_mask(row({1, 1, 1, 1}), kX, result);
            }),
            "the result has 5 elements; a mask of shape (1, 1, 1, 4) takes 4");
}

// Has more entries than one piece of parallel work, and a number that no vector length divides.
TEST(ApplyMask, IsTheDefinitionOnEveryTargetAndThreadCountAndInPlace) {
  const PublishedShape shape{1, 3, 1, 43'711};
  std::mt19937_64 engine(7);
  std::vector<float> weights(static_cast<std::size_t>(shape.entries()));
  std::vector<float> x(weights.size());
  for (std::size_t i = 0; i < x.size(); ++i) {
    weights[i] = engine() % 3 == 0 ? 0.0F : static_cast<float>(engine() % 1000 + 1) / 900.0F;
    x[i] = static_cast<float>(engine() % 2001) - 1000.0F;
  }
  const PublishedMask mask = PublishedMask::from_dense(shape, weights);
  std::vector<float> product(x.size());
  std::vector<float> quotient(x.size());
  std::vector<float> published(x.size());
  for (std::size_t i = 0; i < x.size(); ++i) {
    if (weights[i] == 0.0F) continue;
    product[i] = x[i] * weights[i];
    quotient[i] = x[i] / weights[i];
    published[i] = x[i] * (1.0F / (weights[i] + 1e-6F));
  }
  for_each_target([&](const char* target) {
    for (const int threads : {1, 3}) {
      const Threads workers(threads);
      std::vector<float> result = x;
      apply_mask(mask, result, result, {}, workers);
      EXPECT_TRUE(result == product) << target;
      apply_inv_mask(mask, x, result, {}, workers);
      EXPECT_TRUE(result == quotient) << target;
      apply_inv_mask(mask, x, result, PublishedRules::as_published(), workers);
      EXPECT_TRUE(result == published) << target;
    }
  });
}

TEST(Merge, SumsAndClamps) {
  EXPECT_EQ(merge(row({0, 0.5F, 0.75F, 1}), row({0.25F, 0.25F, 0.75F, 1})).to_dense(),
            (std::vector<float>{0.25F, 0.75F, 1, 1}));
}

TEST(Merge, FlagsFollowTheirOperands) {
  const PublishedMask empty = PublishedMask::flagged_empty(kRow);
  const PublishedMask full = PublishedMask::flagged_full(kRow);
  const PublishedMask some = row({0, 0.5F, 1, 0});
  EXPECT_TRUE(merge(full, some).is_flagged_full());
  EXPECT_TRUE(merge(some, full).is_flagged_full());
  EXPECT_TRUE(merge(empty, full).is_flagged_full());
  EXPECT_TRUE(merge(empty, empty).is_flagged_empty());
  EXPECT_EQ(merge(empty, some), some);
  EXPECT_EQ(merge(some, empty), some);
  EXPECT_FALSE(merge(row({1, 1, 1, 1}), some).is_flagged_full());
  EXPECT_FALSE(merge(row({0, 0, 0, 0}), empty).is_flagged_empty());
}

TEST(Merge, RefusesOtherShapes) {
  EXPECT_EQ(shape_error_of([] {
              merge(row({1, 1, 1, 1}), PublishedMask::flagged_empty({1, 1, 2, 4}));
            }),
            "masks of shapes (1, 1, 1, 4) and (1, 1, 2, 4) cannot be merged");
}

RC_GTEST_PROP(Merge, IsTheUnionOfOurMasksWhereWeightsAreOne, ()) {
  const Visibility visibility = testing::random_visibility();
  const MaskExtent extent = testing::random_extent();
  const Mask a = testing::random_mask(visibility, extent, testing::Kind::kBits);
  const Mask b = testing::random_mask(visibility, extent, testing::Kind::kBits);
  const auto published = [&](const Mask& mask) {
    return PublishedMask::from_mask(mask, extent.batch, extent.heads);
  };
  RC_ASSERT(merge(published(a), published(b)).to_mask(visibility) == union_of(a, b));
}

RC_GTEST_PROP(Merge, IsCommutativeAndNotBelowItsOperands, ()) {
  const Visibility visibility = testing::random_visibility();
  const PublishedShape shape{1, 1, visibility.query_len(), visibility.key_len()};
  const auto random = [&] {
    return PublishedMask::from_dense(
        shape, testing::random_weights(visibility, {}, testing::Kind::kSampled));
  };
  const PublishedMask a = random();
  const PublishedMask b = random();
  const PublishedMask merged = merge(a, b);
  RC_ASSERT(merged == merge(b, a));
  for (std::int64_t i = 0; i < shape.entries(); ++i) {
    RC_ASSERT(merged.weight(i) >= std::max(a.weight(i), b.weight(i)));
    RC_ASSERT(merged.weight(i) <= 1.0F);
  }
}

}  // namespace
}  // namespace maskerade
