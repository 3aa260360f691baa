#include "framework/mask/mask.hpp"

#include <chrono>
#include <cmath>
#include <limits>

#include "tests/framework/mask/naive_mask.hpp"

namespace maskerade {
namespace {

using testing::Kind;
using testing::random_extent;
using testing::random_visibility;
using testing::random_weights;
using testing::shape_error_of;

// A bitmap over at most 64 tiles in which the bits of these tiles are set.
std::vector<std::uint64_t> bitmap_of(std::initializer_list<int> tiles) {
  std::vector<std::uint64_t> words(1);
  for (const int tile : tiles) words[0] |= std::uint64_t{1} << tile;
  return words;
}

TEST(Mask, EmptyHoldsNothing) {
  const Mask mask = Mask::empty(Visibility::causal(70, 200), {2, 3});
  const MaskCounts counts = count(mask);
  EXPECT_EQ(counts.active_entries, 0);
  EXPECT_EQ(counts.visible_entries, 6 * (70 * 130 + 70 * 71 / 2));
  EXPECT_EQ(counts.empty_rows, 6 * 70);
  EXPECT_EQ(counts.tiles_empty, 6 * 2 * 4);
  EXPECT_EQ(counts.density, 0.0);
  EXPECT_EQ(counts.density_p95, 0.0);
}

TEST(Mask, FullHoldsEveryVisibleEntryAsFullTilesOnly) {
  // The first 64 queries see the keys up to 123 at most, so the first tile row has tiles 0 and 1
  // only. The second sees up to key 129, which is in tile 2.
  const Mask mask = Mask::full(Visibility::causal(70, 130), {1, 2});
  const MaskCounts counts = count(mask);
  EXPECT_EQ(counts.active_entries, counts.visible_entries);
  EXPECT_EQ(counts.tiles_partial, 0);
  EXPECT_EQ(counts.tiles_full, 2 * (2 + 3));
  EXPECT_EQ(counts.tiles_empty, 2 * 1);
  EXPECT_EQ(counts.density, 1.0);
  EXPECT_EQ(counts.density_p5, 1.0);
  EXPECT_EQ(counts.empty_rows, 0);
}

TEST(Mask, CausalTileRowIsFullWhereEachRowHasWhatItSees) {
  const Visibility visibility = Visibility::causal(128, 128);
  TileRowBuilder builder(visibility);
  builder.start(0);
  for (int row = 0; row < 64; ++row) builder.add_range(row, 0, row + 1);
  const TileRow tile_row = builder.finish();
  EXPECT_EQ(tile_row.any, bitmap_of({0}));
  EXPECT_EQ(tile_row.full, bitmap_of({0}));
  EXPECT_TRUE(tile_row.partial.empty());
}

TEST(Mask, ProbabilityReadsBitsSampledEntriesAndHiddenKeys) {
  const Visibility visibility = Visibility::causal(2, 100);
  TileRowBuilder builder(visibility);
  builder.add_key(0, 70);
  builder.add_key(0, 71, 0.25F);
  builder.add_range(1, 0, 100);
  const Mask mask = Mask::from_tile_rows(visibility, {}, {builder.finish()});
  EXPECT_EQ(mask.probability(0, 0, 0, 70), 1.0F);
  EXPECT_EQ(mask.probability(0, 0, 0, 71), 0.25F);
  EXPECT_EQ(mask.probability(0, 0, 0, 72), 0.0F);
  EXPECT_EQ(mask.probability(0, 0, 0, 99), 0.0F);
  EXPECT_EQ(mask.probability(0, 0, 1, 99), 1.0F);
  EXPECT_EQ(shape_error_of([&] { mask.probability(0, 0, 2, 0); }),
            "entry (batch 0, head 0, query 2, key 0) is outside a mask of (1, 1, 2, 100)");
}

TEST(Mask, TilesAreVisitedInOrderWithTheirWords) {
  const Visibility visibility = Visibility::all(2, 64 * 70);
  TileRowBuilder builder(visibility);
  builder.add_key(1, 64 * 69 + 3);
  builder.add_key(0, 5);
  for (int row = 0; row < 2; ++row) builder.add_range(row, 64, 128);
  const Mask mask = Mask::from_tile_rows(visibility, {}, {builder.finish()});
  std::vector<std::int64_t> tiles;
  mask.tile_row(0, 0, 0).for_each_tile([&](std::int64_t tile, const std::uint64_t* words) {
    tiles.push_back(tile);
    const auto word_of_query = [&](int query) { return words[query]; };
    if (tile == 0) {
      EXPECT_EQ(word_of_query(0), std::uint64_t{1} << 5);
      EXPECT_EQ(word_of_query(1), 0U);
    } else if (tile == 1) {
      EXPECT_EQ(words, nullptr) << "the tile is full";
    } else {
      EXPECT_EQ(word_of_query(1), std::uint64_t{1} << 3);
    }
  });
  EXPECT_EQ(tiles, (std::vector<std::int64_t>{0, 1, 69}));
  EXPECT_EQ(mask.tile_height(), 2);
  EXPECT_EQ(mask.tile_count(), 70);
}

TEST(Mask, HeadsAndBatchBroadcastByProportion) {
  const Mask mask = Mask::empty(Visibility::all(1, 1), {1, 2});
  EXPECT_EQ(mask.extent_batch(5), 0);
  EXPECT_EQ(mask.extent_head(3, 8), 0);
  EXPECT_EQ(mask.extent_head(4, 8), 1);
  EXPECT_EQ(Mask::empty(Visibility::all(1, 1), {3, 1}).extent_batch(2), 2);
}

RC_GTEST_PROP(Mask, CountsAgreeWithCountingEveryEntry, ()) {
  const Visibility visibility = random_visibility();
  const MaskExtent extent = random_extent();
  const std::vector<float> weights = random_weights(visibility, extent, Kind::kSampled);
  const Mask mask = from_dense(visibility, extent, weights);

  MaskCounts expected;
  std::vector<double> densities;
  const std::int64_t query_len = visibility.query_len();
  const std::int64_t key_len = visibility.key_len();
  for (std::int64_t row = 0; row < extent.batch * extent.heads * query_len; ++row) {
    std::int64_t active = 0;
    for (std::int64_t key = 0; key < key_len; ++key) {
      const float weight = weights[static_cast<std::size_t>(row * key_len + key)];
      active += weight > 0.0F ? 1 : 0;
      expected.sampled_entries += weight > 0.0F && weight < 1.0F ? 1 : 0;
    }
    const std::int64_t end = visibility.end(row % query_len);
    expected.active_entries += active;
    expected.visible_entries += end;
    expected.empty_rows += active == 0 ? 1 : 0;
    densities.push_back(static_cast<double>(active) / static_cast<double>(end));
  }
  for (std::int64_t slice = 0; slice < extent.batch * extent.heads; ++slice) {
    for (std::int64_t first = 0; first < query_len; first += 64) {
      for (std::int64_t tile = 0; tile * 64 < key_len; ++tile) {
        std::int64_t bits = 0;
        std::int64_t visible = 0;
        for (std::int64_t q = first; q < std::min(first + 64, query_len); ++q) {
          for (std::int64_t key = tile * 64; key < std::min(tile * 64 + 64, visibility.end(q));
               ++key) {
            const std::int64_t index = (slice * query_len + q) * key_len + key;
            bits += weights[static_cast<std::size_t>(index)] == 1.0F ? 1 : 0;
            ++visible;
          }
        }
        (bits == 0 ? expected.tiles_empty
                   : (bits == visible ? expected.tiles_full : expected.tiles_partial)) += 1;
      }
    }
  }
  std::sort(densities.begin(), densities.end());
  const auto percentile = [&](double share) {
    const double rank = share * static_cast<double>(densities.size() - 1);
    const auto low = static_cast<std::size_t>(rank);
    const std::size_t high = std::min(low + 1, densities.size() - 1);
    return densities[low] + (densities[high] - densities[low]) * (rank - std::floor(rank));
  };

  const MaskCounts counts = count(mask);
  RC_ASSERT(counts.active_entries == expected.active_entries);
  RC_ASSERT(counts.sampled_entries == expected.sampled_entries);
  RC_ASSERT(counts.visible_entries == expected.visible_entries);
  RC_ASSERT(counts.tiles_full == expected.tiles_full);
  RC_ASSERT(counts.tiles_partial == expected.tiles_partial);
  RC_ASSERT(counts.tiles_empty == expected.tiles_empty);
  RC_ASSERT(counts.empty_rows == expected.empty_rows);
  RC_ASSERT(std::abs(counts.density_p5 - percentile(0.05)) < 1e-12);
  RC_ASSERT(std::abs(counts.density_p95 - percentile(0.95)) < 1e-12);
  RC_ASSERT(counts.density == static_cast<double>(expected.active_entries) /
                                  static_cast<double>(expected.visible_entries));
  RC_ASSERT(density(mask) == counts.density);
}

RC_GTEST_PROP(Mask, FullEqualsAddingEveryKey, ()) {
  const Visibility visibility = random_visibility();
  const MaskExtent extent = random_extent();
  TileRowBuilder builder(visibility);
  std::vector<TileRow> tile_rows;
  for (std::int64_t slice = 0; slice < extent.batch * extent.heads; ++slice) {
    for (std::int64_t index = 0; index * 64 < visibility.query_len(); ++index) {
      builder.start(index);
      for (int row = 0; row < builder.rows(); ++row) {
        builder.add_range(row, std::numeric_limits<std::int64_t>::min(),
                          std::numeric_limits<std::int64_t>::max());
      }
      tile_rows.push_back(builder.finish());
    }
  }
  RC_ASSERT(Mask::from_tile_rows(visibility, extent, tile_rows) == Mask::full(visibility, extent));
}

TEST(Mask, TileRowsThatDoNotFitAreNamed) {
  const Visibility visibility = Visibility::all(2, 100);
  TileRowBuilder builder(visibility);
  builder.add_key(0, 3);
  builder.add_key(1, 4, 0.5F);
  const TileRow good = builder.finish();
  const auto error_of = [&](auto change) {
    TileRow bad = good;
    change(bad);
    return shape_error_of([&] { Mask::from_tile_rows(visibility, {}, {bad}); });
  };
  EXPECT_EQ(error_of([](TileRow&) {}), "");
  EXPECT_EQ(shape_error_of([&] {
              Mask::from_tile_rows(visibility, {2, 3}, {good});
            }),
            "1 tile rows for a mask of 2 batch x 3 heads x 2 queries; there must be 6");
  EXPECT_EQ(error_of([](TileRow& t) { t.any.clear(); }),
            "tile row 0: any has 0 elements; it must have 1");
  EXPECT_EQ(error_of([](TileRow& t) { t.full.push_back(0); }),
            "tile row 0: full has 2 elements; it must have 1");
  EXPECT_EQ(error_of([](TileRow& t) { t.partial.pop_back(); }),
            "tile row 0: partial has 1 elements; it must have 2");
  EXPECT_EQ(error_of([](TileRow& t) { t.any[0] |= 4; }),
            "tile row 0: any and full must be within the 2 tiles of a row, and full within any");
  EXPECT_EQ(error_of([](TileRow& t) { t.full[0] |= 2; }),
            "tile row 0: any and full must be within the 2 tiles of a row, and full within any");
  EXPECT_EQ(error_of([](TileRow& t) { t.sampled_counts.push_back(0); }),
            "tile row 0: sampled_counts has 3 elements; it must have 2");
  EXPECT_EQ(error_of([](TileRow& t) { t.sampled_keys.push_back(9); }),
            "tile row 0: sampled_keys has 2 elements; it must have 1");
  EXPECT_EQ(error_of([](TileRow& t) { t.sampled_probabilities.clear(); }),
            "tile row 0: sampled_probabilities has 0 elements; it must have 1");
  EXPECT_EQ(shape_error_of([&] {
              Mask::empty(visibility, {0, 1});
            }),
            "a mask's extent is batch 0 and heads 1; each must be at least 1");
}

TEST(Mask, SampledEntriesOfLaterTileRowsKeepTheirRows) {
  const Visibility visibility = Visibility::all(130, 10);
  std::vector<TileRow> tile_rows;
  TileRowBuilder builder(visibility);
  for (std::int64_t slice = 0; slice < 2; ++slice) {
    for (std::int64_t index = 0; index < 3; ++index) {
      builder.start(index);
      if (slice == 0 && index == 1) builder.add_key(2, 7, 0.5F);
      if (slice == 1 && index == 2) builder.add_key(1, 8, 0.25F);
      tile_rows.push_back(builder.finish());
    }
  }
  const Mask mask = Mask::from_tile_rows(visibility, {1, 2}, tile_rows);
  EXPECT_EQ(mask.sampled_count(), 2);
  EXPECT_EQ(mask.probability(0, 0, 66, 7), 0.5F);
  EXPECT_EQ(mask.probability(0, 1, 129, 8), 0.25F);
  EXPECT_TRUE(mask.sampled(0, 0, 65).keys.empty());
  EXPECT_TRUE(mask.sampled(0, 1, 128).keys.empty());
}

// The first 128 keys (sink) and the last 1024 visible keys (local) of 131,072 causal tokens.
TEST(Mask, LongSinkAndLocalMaskTakesMegabytes) {
  constexpr std::int64_t kTokens = 131072;
  const auto begin = std::chrono::steady_clock::now();
  const Visibility visibility = Visibility::causal(kTokens, kTokens);
  std::vector<TileRow> tile_rows;
  TileRowBuilder builder(visibility);
  for (std::int64_t index = 0; index * 64 < kTokens; ++index) {
    builder.start(index);
    for (int row = 0; row < 64; ++row) {
      const std::int64_t end = builder.visible_end(row);
      builder.add_range(row, 0, 128);
      builder.add_range(row, end - 1024, end);
    }
    tile_rows.push_back(builder.finish());
  }
  const Mask mask = Mask::from_tile_rows(visibility, {}, tile_rows);
  const std::chrono::duration<double, std::milli> elapsed =
      std::chrono::steady_clock::now() - begin;
  RecordProperty("build_ms", static_cast<int>(elapsed.count()));
  RecordProperty("size_bytes", static_cast<int>(mask.size_bytes()));
  EXPECT_LT(mask.size_bytes(), 16 << 20);
  EXPECT_GT(mask.size_bytes(), 0);
  // A row with at least 1152 visible keys has 1152 active ones; in every other row all are active.
  const MaskCounts counts = count(mask);
  EXPECT_EQ(counts.active_entries, (kTokens - 1152) * 1152 + std::int64_t{1152} * 1153 / 2);
  EXPECT_EQ(counts.empty_rows, 0);
}

}  // namespace
}  // namespace maskerade
