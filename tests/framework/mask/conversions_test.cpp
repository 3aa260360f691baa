#include "framework/mask/conversions.hpp"

#include <limits>
#include <numeric>

#include "tests/framework/mask/naive_mask.hpp"

namespace maskerade {
namespace {

using testing::draw;
using testing::entry_count;
using testing::is_visible;
using testing::Kind;
using testing::random_engine;
using testing::random_extent;
using testing::random_mask;
using testing::random_visibility;
using testing::random_weights;
using testing::shape_error_of;

std::vector<float> hide(const Visibility& visibility, std::vector<float> weights) {
  for (std::size_t i = 0; i < weights.size(); ++i) {
    if (!is_visible(visibility, static_cast<std::int64_t>(i))) weights[i] = 0.0F;
  }
  return weights;
}

RC_GTEST_PROP(DenseConversion, RoundTripsAndDropsWhatIsHidden, ()) {
  const Visibility visibility = random_visibility();
  const MaskExtent extent = random_extent();
  // Weights for every entry, also those that the mask's visibility hides.
  const std::vector<float> weights = random_weights(
      Visibility::all(visibility.query_len(), visibility.key_len()), extent, Kind::kSampled);
  const Mask mask = from_dense(visibility, extent, weights);
  RC_ASSERT(to_dense(mask) == hide(visibility, weights));
  RC_ASSERT(from_dense(visibility, extent, to_dense(mask)) == mask);
  for (int i = 0; i < 20; ++i) {
    const std::int64_t index = draw(0, entry_count(visibility, extent) - 1);
    const std::int64_t row = index / visibility.key_len();
    const std::int64_t slice = row / visibility.query_len();
    RC_ASSERT(mask.probability(slice / extent.heads, slice % extent.heads,
                               row % visibility.query_len(), index % visibility.key_len()) ==
              hide(visibility, weights)[static_cast<std::size_t>(index)]);
  }
}

RC_GTEST_PROP(CompressedRowsConversion, RoundTripsInAnyOrderWithinRows, ()) {
  const Visibility visibility = random_visibility();
  const MaskExtent extent = random_extent();
  const std::vector<float> weights = random_weights(visibility, extent, Kind::kSampled);
  const Mask mask = from_dense(visibility, extent, weights);
  CompressedRows rows = to_compressed_rows(mask);

  CompressedRows expected;
  expected.offsets.push_back(0);
  const std::int64_t key_len = visibility.key_len();
  for (std::size_t i = 0; i < weights.size(); ++i) {
    if (weights[i] > 0.0F) {
      expected.keys.push_back(static_cast<std::int32_t>(static_cast<std::int64_t>(i) % key_len));
      expected.probabilities.push_back(weights[i]);
    }
    if (static_cast<std::int64_t>(i) % key_len == key_len - 1) {
      expected.offsets.push_back(static_cast<std::int64_t>(expected.keys.size()));
    }
  }
  RC_ASSERT(rows.offsets == expected.offsets);
  RC_ASSERT(rows.keys == expected.keys);
  RC_ASSERT(rows.probabilities == expected.probabilities);

  // Keys may come in any order: here descending within every row.
  for (std::size_t r = 0; r + 1 < rows.offsets.size(); ++r) {
    std::reverse(rows.keys.begin() + rows.offsets[r], rows.keys.begin() + rows.offsets[r + 1]);
    std::reverse(rows.probabilities.begin() + rows.offsets[r],
                 rows.probabilities.begin() + rows.offsets[r + 1]);
  }
  RC_ASSERT(from_compressed_rows(visibility, extent, rows.offsets, rows.keys, rows.probabilities) ==
            mask);
}

RC_GTEST_PROP(FlatConversion, RoundTripsInAnyOrder, ()) {
  const Visibility visibility = random_visibility();
  const MaskExtent extent = random_extent();
  const std::vector<float> weights = random_weights(visibility, extent, Kind::kSampled);
  const Mask mask = from_dense(visibility, extent, weights);
  FlatEntries flat = to_flat(mask);
  FlatEntries expected;
  for (std::size_t i = 0; i < weights.size(); ++i) {
    if (weights[i] == 0.0F) continue;
    expected.indices.push_back(static_cast<std::int64_t>(i));
    expected.probabilities.push_back(weights[i]);
  }
  RC_ASSERT(flat.indices == expected.indices);
  RC_ASSERT(flat.probabilities == expected.probabilities);

  std::vector<std::size_t> order(flat.indices.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::mt19937_64 engine = random_engine();
  std::shuffle(order.begin(), order.end(), engine);
  for (std::size_t i = 0; i < order.size(); ++i) {
    flat.indices[i] = expected.indices[order[i]];
    flat.probabilities[i] = expected.probabilities[order[i]];
  }
  RC_ASSERT(from_flat(visibility, extent, flat.indices, flat.probabilities) == mask);
}

RC_GTEST_PROP(ListConversions, WithoutProbabilitiesEveryEntryIsABit, ()) {
  const Visibility visibility = random_visibility();
  const MaskExtent extent = random_extent();
  const Mask mask = random_mask(visibility, extent, Kind::kBits);
  const CompressedRows rows = to_compressed_rows(mask);
  RC_ASSERT(from_compressed_rows(visibility, extent, rows.offsets, rows.keys, {}) == mask);
  RC_ASSERT(from_flat(visibility, extent, to_flat(mask).indices, {}) == mask);
}

RC_GTEST_PROP(BlockConversion, BlocksCoverTheirVisibleEntries, ()) {
  const MaskExtent extent = random_extent();
  std::int64_t block = *rc::gen::element<std::int64_t>(1, 3, 16, 48, 64, 100, 128, 1000);
  // The first row of blocks is that of query 0, so no later query may have a lower position.
  Visibility visibility = random_visibility();
  std::vector<std::int64_t> positions = visibility.positions();
  if (positions.front() >= 0) {
    std::sort(positions.begin(), positions.end());
    visibility = Visibility::at_positions(positions, visibility.key_len(), visibility.is_causal());
  }
  const Mask mask = random_mask(visibility, extent, Kind::kSampled);
  const BlockMask blocks = to_blocks(mask, block);

  const std::vector<float> weights = to_dense(mask);
  const std::int64_t key_len = visibility.key_len();
  const auto block_of = [&](std::int64_t position) {
    return (position + 1000 * block) / block;  // rounds down for negative positions as well
  };
  BlockMask expected{.block = block, .query_blocks = 0, .key_blocks = 0, .active = {}};
  expected.query_blocks = block_of(visibility.position(visibility.query_len() - 1)) -
                          block_of(visibility.position(0)) + 1;
  expected.key_blocks = (key_len + block - 1) / block;
  RC_ASSERT(blocks.query_blocks == expected.query_blocks);
  RC_ASSERT(blocks.key_blocks == expected.key_blocks);
  expected.active.resize(blocks.active.size());
  std::vector<float> covered(weights.size());
  const auto block_index = [&](std::int64_t i) {
    const std::int64_t row = i / key_len;
    const std::int64_t query = row % visibility.query_len();
    const std::int64_t block_row =
        block_of(visibility.position(query)) - block_of(visibility.position(0));
    return static_cast<std::size_t>(
        (row / visibility.query_len() * expected.query_blocks + block_row) * expected.key_blocks +
        i % key_len / block);
  };
  for (std::size_t i = 0; i < weights.size(); ++i) {
    if (weights[i] > 0.0F) expected.active[block_index(static_cast<std::int64_t>(i))] = 1;
  }
  RC_ASSERT(blocks.active == expected.active);
  for (std::size_t i = 0; i < weights.size(); ++i) {
    covered[i] = expected.active[block_index(static_cast<std::int64_t>(i))];
  }
  const Mask from = from_blocks(visibility, extent, blocks);
  RC_ASSERT(to_dense(from) == hide(visibility, covered));
  RC_ASSERT(to_blocks(from, block).active == blocks.active);
}

TEST(BlockConversion, FirstRowOfBlocksHoldsTheFirstQuery) {
  // With blocks of 48 tokens, positions 90 to 95 lie in block 1 and 96 to 99 in block 2.
  const Visibility visibility = Visibility::causal(10, 100);
  BlockMask blocks{.block = 48, .query_blocks = 2, .key_blocks = 3, .active = {1, 0, 0, 0, 0, 1}};
  const Mask mask = from_blocks(visibility, {}, blocks);
  EXPECT_EQ(mask.probability(0, 0, 5, 47), 1.0F);
  EXPECT_EQ(mask.probability(0, 0, 5, 48), 0.0F);
  EXPECT_EQ(mask.probability(0, 0, 6, 47), 0.0F);
  EXPECT_EQ(mask.probability(0, 0, 6, 96), 1.0F);
  EXPECT_EQ(mask.probability(0, 0, 6, 97), 0.0F);
  EXPECT_EQ(to_blocks(mask, 48).active, blocks.active);
}

TEST(BlockConversion, BlocksOfNothingVisibleComeBackInactive) {
  const Visibility visibility = Visibility::causal(128, 128);
  const BlockMask all{.block = 64, .query_blocks = 2, .key_blocks = 2, .active = {1, 1, 1, 1}};
  const Mask mask = from_blocks(visibility, {}, all);
  EXPECT_EQ(mask, Mask::full(visibility));
  EXPECT_EQ(to_blocks(mask, 64).active, (std::vector<std::uint8_t>{1, 0, 1, 1}));
}

TEST(DenseConversion, BadWeightsAreNamed) {
  const Visibility visibility = Visibility::causal(2, 3);
  const auto error_of = [&](std::vector<float> weights) {
    return shape_error_of([&] { from_dense(visibility, {1, 2}, weights); });
  };
  EXPECT_EQ(error_of(std::vector<float>(11)), "weights has 11 elements; it must have 12");
  std::vector<float> weights(12);
  weights[7] = 1.5F;
  EXPECT_EQ(
      error_of(weights),
      "row 2 (batch 0, head 1, query 0), key 1: the weight is 1.5; it must be between 0 and 1");
  weights[7] = std::numeric_limits<float>::quiet_NaN();
  EXPECT_EQ(
      error_of(weights),
      "row 2 (batch 0, head 1, query 0), key 1: the weight is nan; it must be between 0 and 1");
  weights[7] = -0.5F;
  EXPECT_NE(error_of(weights), "");
  weights[7] = -0.0F;
  EXPECT_EQ(error_of(weights), "");
  EXPECT_EQ(shape_error_of([&] {
              from_dense(visibility, {1, 0}, {});
            }),
            "a mask's extent is batch 1 and heads 0; each must be at least 1");
}

TEST(CompressedRowsConversion, BadListsAreNamed) {
  const Visibility visibility = Visibility::causal(2, 3);
  using Offsets = std::vector<std::int64_t>;
  using Keys = std::vector<std::int32_t>;
  using Probabilities = std::vector<float>;
  const auto error_of = [&](const Offsets& offsets, const Keys& keys, const Probabilities& p) {
    return shape_error_of([&] { from_compressed_rows(visibility, {}, offsets, keys, p); });
  };
  EXPECT_EQ(error_of({0, 1, 3}, {2, 2, 0}, {}), "");
  EXPECT_EQ(
      error_of({0, 1, 4}, {2, 2, 0, 2}, {}),
      "row 1 (batch 0, head 0, query 1): key 2 appears twice; a key may appear once in a row");
  // A key that appears twice is refused also where it is not visible: query 0 does not see key 2.
  EXPECT_EQ(
      error_of({0, 2, 2}, {2, 2}, {}),
      "row 0 (batch 0, head 0, query 0): key 2 appears twice; a key may appear once in a row");
  EXPECT_EQ(error_of({0, 1, 2}, {0, 3}, {}),
            "row 1 (batch 0, head 0, query 1): keys[1] is 3; it must be between 0 and 2");
  EXPECT_EQ(error_of({0, 1, 2}, {-1, 0}, {}),
            "row 0 (batch 0, head 0, query 0): keys[0] is -1; it must be between 0 and 2");
  EXPECT_EQ(
      error_of({0, 1, 2}, {0, 0}, {0.5F, 0.0F}),
      "row 1 (batch 0, head 0, query 1): probabilities[1] is 0; it must be above 0 and at most "
      "1");
  EXPECT_EQ(error_of({0, 2}, {0, 1}, {}), "offsets has 2 elements; it must have 3");
  EXPECT_EQ(error_of({1, 1, 2}, {0, 1}, {}), "offsets[0] is 1; it must be 0");
  EXPECT_EQ(error_of({0, 2, 1}, {0}, {}),
            "offsets[2] is 1, less than offsets[1], 2; offsets ascend");
  EXPECT_EQ(error_of({0, 1, 3}, {0, 1}, {}), "keys has 2 elements; it must have 3");
  EXPECT_EQ(error_of({0, 1, 2}, {0, 1}, {1.0F}), "probabilities has 1 elements; it must have 2");
}

TEST(FlatConversion, BadListsAreNamed) {
  const Visibility visibility = Visibility::all(2, 3);
  const auto error_of = [&](std::vector<std::int64_t> indices, std::vector<float> probabilities) {
    return shape_error_of([&] { from_flat(visibility, {}, indices, probabilities); });
  };
  EXPECT_EQ(error_of({5, 0}, {}), "");
  EXPECT_EQ(error_of({0, 6}, {}),
            "indices[1] is 6; with 2 rows of 3 keys it must be between 0 and 5");
  EXPECT_EQ(error_of({-1}, {}),
            "indices[0] is -1; with 2 rows of 3 keys it must be between 0 and 5");
  EXPECT_EQ(
      error_of({4, 0, 4}, {}),
      "row 1 (batch 0, head 0, query 1): key 1 appears twice; a key may appear once in a row");
  EXPECT_EQ(error_of({1}, {1.25F}), "probabilities[0] is 1.25; it must be above 0 and at most 1");
  EXPECT_EQ(error_of({1}, {1.0F, 1.0F}), "probabilities has 2 elements; it must have 1");
}

TEST(BlockConversion, BadBlocksAreNamed) {
  const Visibility visibility = Visibility::causal(10, 100);
  const auto error_of = [&](const BlockMask& blocks) {
    return shape_error_of([&] { from_blocks(visibility, {}, blocks); });
  };
  EXPECT_EQ(error_of({.block = 0, .query_blocks = 1, .key_blocks = 1, .active = {1}}),
            "block is 0; it must be between 1 and 2147483647");
  EXPECT_EQ(error_of({.block = 48, .query_blocks = 1, .key_blocks = 3, .active = {1, 1, 1}}),
            "1 x 3 blocks of 48 tokens; the queries and keys make 2 x 3");
  EXPECT_EQ(error_of({.block = 48, .query_blocks = 2, .key_blocks = 3, .active = {1, 1, 1}}),
            "active has 3 elements; it must have 6");
  const Mask backwards = Mask::empty(Visibility::at_positions({70, 3}, 100, true));
  EXPECT_EQ(
      shape_error_of([&] { to_blocks(backwards, 64); }),
      "query 1 at position 3 is in a block before that of query 0 at position 70; blocks start "
      "at query 0");
}

}  // namespace
}  // namespace maskerade
