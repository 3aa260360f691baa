#include "framework/mask/published/published_mask.hpp"

#include <cmath>
#include <limits>

#include "tests/framework/mask/naive_mask.hpp"

namespace maskerade {
namespace {

using testing::shape_error_of;

constexpr PublishedShape kTwoRows{1, 1, 2, 3};

std::vector<float> dense_of(const Mask& mask) { return to_dense(mask); }

TEST(PublishedMask, FlagsAreStatesAndNotWeights) {
  const PublishedMask empty = PublishedMask::flagged_empty(kTwoRows);
  const PublishedMask full = PublishedMask::flagged_full(kTwoRows);
  const std::vector<float> zeros(6, 0.0F);
  const std::vector<float> ones(6, 1.0F);
  EXPECT_EQ(empty.to_dense(), zeros);
  EXPECT_EQ(full.to_dense(), ones);
  EXPECT_TRUE(empty.is_flagged_empty());
  EXPECT_FALSE(empty.is_flagged_full());
  EXPECT_TRUE(full.is_flagged_full());
  for (const auto& weights : {zeros, ones}) {
    const PublishedMask mask = PublishedMask::from_dense(kTwoRows, weights);
    EXPECT_FALSE(mask.is_flagged_empty());
    EXPECT_FALSE(mask.is_flagged_full());
  }
  EXPECT_FALSE(empty == PublishedMask::from_dense(kTwoRows, zeros));
}

TEST(PublishedMask, FlatIndicesComeInAnyOrderAndLeaveSorted) {
  const PublishedMask mask = PublishedMask::from_indices(
      kTwoRows, std::vector<std::int64_t>{2, 0, 4}, std::vector<float>{0.5F, 0.25F, 1.0F},
      std::vector<std::int64_t>{0, 2, 3});
  EXPECT_EQ(mask.to_dense(), (std::vector<float>{0.25F, 0, 0.5F, 0, 1, 0}));
  const PublishedEntries entries = mask.to_indices();
  EXPECT_EQ(entries.indices, (std::vector<std::int64_t>{0, 2, 4}));
  EXPECT_EQ(entries.offsets, (std::vector<std::int64_t>{0, 2, 3}));
  EXPECT_EQ(entries.weights, (std::vector<float>{0.25F, 0.5F, 1.0F}));
}

TEST(PublishedMask, IndicesWithoutWeightsWeighOne) {
  EXPECT_EQ(PublishedMask::from_indices(kTwoRows, std::vector<std::int64_t>{1, 3}, {}).to_dense(),
            (std::vector<float>{0, 1, 0, 1, 0, 0}));
}

TEST(PublishedMask, EntriesOfWeightZeroLeaveTheIndexForm) {
  const PublishedMask mask = PublishedMask::from_indices(kTwoRows, std::vector<std::int64_t>{1, 3},
                                                         std::vector<float>{0.0F, 0.5F});
  EXPECT_EQ(mask.to_indices().indices, (std::vector<std::int64_t>{3}));
  EXPECT_EQ(mask.active_entries(), 1);
}

TEST(PublishedMask, RowKeysTakeNegativeOnesAsPadding) {
  const PublishedMask mask =
      PublishedMask::from_rows(kTwoRows, std::vector<std::int64_t>{2, 0, -1, 1},
                               std::vector<float>{0.5F, 1.0F, 0.75F, 0.25F}, 2);
  EXPECT_EQ(mask.to_dense(), (std::vector<float>{1, 0, 0.5F, 0, 0.25F, 0}));
  EXPECT_EQ(PublishedMask::from_rows(kTwoRows, {}, {}, 0).active_entries(), 0);
}

TEST(PublishedMask, DuplicatesAreAnErrorOrTheLastCounts) {
  const std::vector<std::int64_t> indices = {1, 4, 1};
  const std::vector<float> weights = {0.5F, 1.0F, 0.25F};
  EXPECT_EQ(
      shape_error_of([&] { PublishedMask::from_indices(kTwoRows, indices, weights); }),
      "batch 0, head 0, query 0, key 1: the entry appears twice; an entry may appear once, or "
      "duplicates: last lets the last one count");
  EXPECT_EQ(
      PublishedMask::from_indices(kTwoRows, indices, weights, {}, Duplicates::kLast).to_dense(),
      (std::vector<float>{0, 0.25F, 0, 0, 1, 0}));
  const std::vector<std::int64_t> keys = {0, 0, 1, 2};
  EXPECT_NE(shape_error_of([&] { PublishedMask::from_rows(kTwoRows, keys, {}, 2); }), "");
  const std::vector<float> row_weights = {0.5F, 0.125F, 1.0F, 1.0F};
  EXPECT_EQ(PublishedMask::from_rows(kTwoRows, keys, row_weights, 2, Duplicates::kLast).to_dense(),
            (std::vector<float>{0.125F, 0, 0, 0, 1, 1}));
}

TEST(PublishedMask, RefusesWhatDoesNotFit) {
  const auto error = [](auto&& make) { return shape_error_of(make); };
  EXPECT_EQ(error([] {
              PublishedMask::flagged_empty({1, 0, 2, 3});
            }),
            "a published mask of shape (1, 0, 2, 3); each size must be at least 1");
  EXPECT_EQ(error([] { PublishedMask::from_dense(kTwoRows, std::vector<float>(5)); }),
            "weights has 5 elements; it must have 6");
  EXPECT_EQ(error([] {
              PublishedMask::from_dense(kTwoRows, {0, 0, 0, 0, 0, -1});
            }),
            "batch 0, head 0, query 1, key 2: the weight is -1; it must be finite and at least 0");
  for (const float weight :
       {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
    EXPECT_NE(error([&] { PublishedMask::from_dense({1, 1, 1, 1}, {weight}); }), "");
  }
  for (const std::int64_t index : {-1, 6}) {
    EXPECT_EQ(
        error([&] { PublishedMask::from_indices(kTwoRows, std::vector<std::int64_t>{index}, {}); }),
        "indices[0] is " + std::to_string(index) + "; a mask of shape (1, 1, 2, 3) takes 0 to 5");
  }
  EXPECT_EQ(error([] {
              PublishedMask::from_indices(kTwoRows, std::vector<std::int64_t>{3}, {},
                                          std::vector<std::int64_t>{0, 1, 1});
            }),
            "indices[0] is 3, which lies in row 1; offsets put it in row 0");
  EXPECT_EQ(error([] {
              PublishedMask::from_indices(kTwoRows, std::vector<std::int64_t>{3}, {},
                                          std::vector<std::int64_t>{0, 1, 2});
            }),
            "offsets must ascend from 0 to the number of indices, 1");
  EXPECT_EQ(error([] {
              PublishedMask::from_rows(kTwoRows, std::vector<std::int64_t>{0, 3}, {}, 1);
            }),
            "keys[1], of row 1, is 3; it must be below key_len, 3");
  EXPECT_EQ(
      error([] {
        PublishedMask::from_dense(kTwoRows, std::vector<float>(6)).to_mask(Visibility::all(2, 4));
      }),
      "a published mask of 2 queries x 3 keys does not fit a visibility of 2 x 4");
}

TEST(PublishedMask, CountsActiveEntries) {
  const PublishedMask mask = PublishedMask::from_dense(kTwoRows, {0.5F, 0, 1, 0, 0, 0});
  EXPECT_EQ(mask.row_active(), (std::vector<std::int64_t>{2, 0}));
  EXPECT_EQ(mask.active_entries(), 2);
  EXPECT_EQ(mask.density(), 2.0 / 6.0);
  EXPECT_EQ(PublishedMask::flagged_full(kTwoRows).density(), 1.0);
  EXPECT_EQ(PublishedMask::flagged_empty(kTwoRows).density(), 0.0);
}

TEST(PublishedMask, OurMaskHoldsWhatIsVisible) {
  const PublishedMask mask = PublishedMask::from_dense({1, 1, 2, 2}, {0.5F, 1, 1, 1});
  const Visibility causal = Visibility::causal(2, 2);
  EXPECT_EQ(dense_of(mask.to_mask(causal)), (std::vector<float>{0.5F, 0, 1, 1}));
  EXPECT_EQ(PublishedMask::flagged_full({1, 1, 2, 2}).to_mask(causal), Mask::full(causal));
  EXPECT_EQ(PublishedMask::flagged_empty({1, 1, 2, 2}).to_mask(causal), Mask::empty(causal));
}

TEST(PublishedMask, OurMaskIsBroadcastOnTheWayOut) {
  const Mask mask = from_dense(Visibility::all(1, 2), {1, 1}, std::vector<float>{0, 0.5F});
  EXPECT_EQ(PublishedMask::from_mask(mask, 1, 3).to_dense(),
            (std::vector<float>{0, 0.5F, 0, 0.5F, 0, 0.5F}));
}

RC_GTEST_PROP(PublishedMask, EveryFormHoldsTheSameWeights, ()) {
  const Visibility visibility = testing::random_visibility();
  const MaskExtent extent = testing::random_extent();
  const PublishedShape shape{extent.batch, extent.heads, visibility.query_len(),
                             visibility.key_len()};
  const std::vector<float> weights =
      testing::random_weights(visibility, extent, testing::Kind::kSampled);
  const PublishedMask mask = PublishedMask::from_dense(shape, weights);
  RC_ASSERT(mask.to_dense() == weights);
  const PublishedEntries entries = mask.to_indices();
  RC_ASSERT(PublishedMask::from_indices(shape, entries.indices, entries.weights, entries.offsets) ==
            mask);
  const Mask ours = mask.to_mask(visibility);
  RC_ASSERT(ours == from_dense(visibility, extent, weights));
  RC_ASSERT(PublishedMask::from_mask(ours, extent.batch, extent.heads) == mask);
}

}  // namespace
}  // namespace maskerade
