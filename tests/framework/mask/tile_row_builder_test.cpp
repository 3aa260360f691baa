#include "framework/mask/tile_row_builder.hpp"

#include <bit>
#include <cmath>
#include <limits>
#include <map>

#include "tests/framework/mask/naive_mask.hpp"

namespace maskerade {
namespace {

using testing::draw;
using testing::Kind;
using testing::random_engine;
using testing::random_mask;
using testing::random_visibility;
using testing::shape_error_of;

using Entries = std::map<std::pair<int, std::int64_t>, float>;  // (row, key) -> probability

void unite(Entries& entries, int row, std::int64_t key, float probability) {
  float& old = entries[{row, key}];
  if (old >= 1.0F || probability >= 1.0F) {
    old = 1.0F;
  } else {
    const double united = 1.0 - (1.0 - static_cast<double>(old)) * (1.0 - probability);
    old = static_cast<float>(united);
  }
}

// Checks that the builder holds exactly these entries, whichever function reads it.
void check_same(const TileRowBuilder& builder,
                const Visibility& visibility,
                std::int64_t tile_row,
                const Entries& entries) {
  for (int row = 0; row < builder.rows(); ++row) {
    std::vector<std::uint64_t> bits(static_cast<std::size_t>((visibility.key_len() + 63) / 64));
    std::vector<std::uint64_t> support = bits;
    std::vector<SampledEntry> sampled;
    for (auto entry = entries.lower_bound({row, 0});
         entry != entries.end() && entry->first.first == row; ++entry) {
      const std::int64_t key = entry->first.second;
      const std::uint64_t bit = std::uint64_t{1} << (key % 64);
      support[static_cast<std::size_t>(key / 64)] |= bit;
      if (entry->second >= 1.0F) {
        bits[static_cast<std::size_t>(key / 64)] |= bit;
      } else {
        sampled.push_back({static_cast<std::int32_t>(key), entry->second});
      }
    }
    std::int64_t active = 0;
    for (std::size_t tile = 0; tile < bits.size(); ++tile) {
      RC_ASSERT(builder.word(row, static_cast<std::int64_t>(tile)) == bits[tile]);
      RC_ASSERT(builder.support_word(row, static_cast<std::int64_t>(tile)) == support[tile]);
      active += std::popcount(support[tile]);
    }
    RC_ASSERT(builder.active_count(row) == active);
    const auto found = builder.sampled(row);
    RC_ASSERT(found.size() == sampled.size());
    for (std::size_t i = 0; i < sampled.size(); ++i) {
      RC_ASSERT(found[i].key == sampled[i].key);
      RC_ASSERT(std::abs(found[i].probability - sampled[i].probability) <= 1e-6F);
      RC_ASSERT(builder.is_active(row, found[i].key));
    }
    RC_ASSERT(builder.visible_end(row) == visibility.end(tile_row * 64 + row));
  }
}

RC_GTEST_PROP(TileRowBuilder, HoldsWhatANaiveMapHolds, ()) {
  const Visibility visibility = random_visibility();
  const std::int64_t key_len = visibility.key_len();
  TileRowBuilder builder(visibility);
  std::mt19937_64 engine = random_engine();
  const auto below = [&](std::int64_t limit) {
    return static_cast<std::int64_t>(engine() % static_cast<std::uint64_t>(limit));
  };
  // Uses one builder for several tile rows: start() must leave nothing of the tile row before.
  for (int reuse = 0; reuse < 3; ++reuse) {
    const std::int64_t tile_row = below((visibility.query_len() + 63) / 64);
    builder.start(tile_row);
    Entries entries;
    const auto add = [&](int row, std::int64_t key, float probability) {
      if (key >= 0 && key < builder.visible_end(row)) unite(entries, row, key, probability);
    };
    const std::int64_t steps = draw(0, 80);
    for (std::int64_t step = 0; step < steps; ++step) {
      const int row = static_cast<int>(below(builder.rows()));
      switch (below(5)) {
        case 0: {
          const std::int64_t begin = below(key_len + 40) - 20;
          const std::int64_t end = begin + below(below(4) == 0 ? key_len + 1 : 150) - 10;
          builder.add_range(row, begin, end);
          for (std::int64_t key = begin; key < end; ++key) add(row, key, 1.0F);
          break;
        }
        case 1: {
          const std::int64_t tile = below((key_len + 63) / 64);
          const std::uint64_t word = engine() & engine();
          builder.add_word(row, tile, word);
          for (int j = 0; j < 64; ++j) {
            if (((word >> j) & 1U) != 0) add(row, tile * 64 + j, 1.0F);
          }
          break;
        }
        case 2: {
          const std::int64_t key = below(key_len);
          builder.add_key(row, key);
          add(row, key, 1.0F);
          break;
        }
        default: {
          const std::int64_t key = below(key_len);
          const float probability = static_cast<float>(below(128) + 1) / 256.0F;
          builder.add_key(row, key, probability);
          add(row, key, probability);
        }
      }
      if (below(16) == 0) {
        const std::int64_t key = below(key_len);
        RC_ASSERT(builder.is_active(row, key) == (entries.count({row, key}) != 0));
      }
    }
    check_same(builder, visibility, tile_row, entries);
  }
}

RC_GTEST_PROP(TileRowBuilder, OrderOfAddingDoesNotShow, ()) {
  const Visibility visibility = random_visibility();
  std::mt19937_64 engine = random_engine();
  struct Add {
    int row;
    std::int64_t begin;
    std::int64_t end;
    float probability;
  };
  TileRowBuilder builder(visibility);
  std::vector<Add> adds;
  const auto count = static_cast<std::size_t>(draw(0, 60));
  std::map<std::pair<int, std::int64_t>, bool> sampled;
  while (adds.size() < count) {
    const int row = static_cast<int>(engine() % static_cast<std::uint64_t>(builder.rows()));
    const auto begin =
        static_cast<std::int64_t>(engine() % static_cast<std::uint64_t>(visibility.key_len()));
    if (engine() % 2 == 0) {
      adds.push_back({row, begin, begin + static_cast<std::int64_t>(engine() % 130), 1.0F});
    } else {
      // Adds each key once with a probability below 1, since how a united probability is rounded
      // depends on the order in which the entries are added.
      const bool is_new = sampled.emplace(std::pair{row, begin}, true).second;
      adds.push_back({row, begin, is_new ? begin + 1 : begin, 0.5F});
    }
  }
  const auto build = [&] {
    builder.start(0);
    for (const Add& add : adds) {
      if (add.probability == 1.0F) {
        builder.add_range(add.row, add.begin, add.end);
      } else if (add.begin < add.end) {
        builder.add_key(add.row, add.begin, add.probability);
      }
    }
    return builder.finish();
  };
  const TileRow first = build();
  std::shuffle(adds.begin(), adds.end(), engine);
  const TileRow second = build();
  RC_ASSERT(first.any == second.any);
  RC_ASSERT(first.full == second.full);
  RC_ASSERT(first.partial == second.partial);
  RC_ASSERT(first.sampled_counts == second.sampled_counts);
  RC_ASSERT(first.sampled_keys == second.sampled_keys);
  RC_ASSERT(first.sampled_probabilities == second.sampled_probabilities);
}

RC_GTEST_PROP(TileRowBuilder, StartingFromAMaskGivesThatMask, ()) {
  const Visibility visibility = random_visibility();
  const MaskExtent extent{2, 2};
  const Mask mask = random_mask(visibility, extent, Kind::kSampled);
  TileRowBuilder builder(visibility);
  std::vector<TileRow> tile_rows;
  for (std::int64_t b = 0; b < 2; ++b) {
    for (std::int64_t h = 0; h < 2; ++h) {
      for (std::int64_t index = 0; index < mask.tile_row_count(); ++index) {
        builder.start(index, mask, b, h);
        tile_rows.push_back(builder.finish());
      }
    }
  }
  RC_ASSERT(Mask::from_tile_rows(visibility, extent, tile_rows) == mask);
}

TEST(TileRowBuilder, BitReplacesASampledEntryAndStays) {
  TileRowBuilder builder(Visibility::all(1, 200));
  builder.add_key(0, 100, 0.5F);
  builder.add_key(0, 101, 0.5F);
  builder.add_key(0, 100);
  builder.add_key(0, 100, 0.25F);
  EXPECT_EQ(builder.word(0, 1), std::uint64_t{1} << 36);
  EXPECT_EQ(builder.support_word(0, 1), std::uint64_t{3} << 36);
  ASSERT_EQ(builder.sampled(0).size(), 1U);
  EXPECT_EQ(builder.sampled(0).front().key, 101);
  EXPECT_EQ(builder.active_count(0), 2);
  builder.add_range(0, 0, 200);
  const TileRow tile_row = builder.finish();
  EXPECT_TRUE(tile_row.sampled_keys.empty());
  EXPECT_TRUE(tile_row.sampled_counts.empty());
  EXPECT_EQ(tile_row.full, (std::vector<std::uint64_t>{15}));
}

TEST(TileRowBuilder, UnitedProbabilitiesStayBelowOne) {
  TileRowBuilder builder(Visibility::all(1, 2));
  for (int i = 0; i < 100; ++i) builder.add_key(0, 1, 0.9F);
  ASSERT_EQ(builder.sampled(0).size(), 1U);
  EXPECT_EQ(builder.sampled(0).front().probability, 0x1.fffffep-1F);
  EXPECT_EQ(builder.word(0, 0), 0U);
}

TEST(TileRowBuilder, SmallProbabilitiesKeepTheirPrecision) {
  TileRowBuilder builder(Visibility::all(1, 2));
  builder.add_key(0, 1, 0x1p-60F);
  builder.add_key(0, 1, 0x1p-61F);
  EXPECT_EQ(builder.sampled(0).front().probability, 0x1.8p-60F);
}

TEST(TileRowBuilder, WritesAreClippedToWhatARowSees) {
  const Visibility visibility = Visibility::at_positions({70, 3}, 100, true);
  TileRowBuilder builder(visibility);
  builder.add_range(0, -50, 1000);
  builder.add_word(1, 0, ~std::uint64_t{0});
  builder.add_word(1, 1, ~std::uint64_t{0});
  builder.add_key(1, 4);
  builder.add_key(1, 4, 0.5F);
  EXPECT_EQ(builder.active_count(0), 71);
  EXPECT_EQ(builder.active_count(1), 4);
  EXPECT_EQ(Mask::from_tile_rows(visibility, {}, {builder.finish()}), Mask::full(visibility));
}

RC_GTEST_PROP(TileRowBuilder, ARangeOfRowsIsItsRowsOneByOne, ()) {
  const Visibility visibility = random_visibility();
  const Mask previous = random_mask(visibility, {}, Kind::kSampled);
  TileRowBuilder together(visibility);
  TileRowBuilder one_by_one(visibility);
  const std::int64_t tile_row = draw(0, previous.tile_row_count() - 1);
  together.start(tile_row, previous, 0, 0);
  one_by_one.start(tile_row, previous, 0, 0);
  for (int write = 0; write < 3; ++write) {
    const auto row_begin = static_cast<int>(draw(0, together.rows()));
    const auto row_end = static_cast<int>(draw(0, together.rows()));
    const auto random_key = [&] {
      const std::int64_t key = draw(-100, visibility.key_len() + 100);
      constexpr auto kLimits = std::numeric_limits<std::int64_t>();
      return key < -90 ? kLimits.min() : key > visibility.key_len() + 90 ? kLimits.max() : key;
    };
    const std::int64_t begin = random_key();
    const std::int64_t end = random_key();
    together.add_range(row_begin, row_end, begin, end);
    for (int row = row_begin; row < row_end; ++row) one_by_one.add_range(row, begin, end);
  }
  RC_ASSERT(Mask::from_tile_rows(Visibility::all(together.rows(), visibility.key_len()), {},
                                 {together.finish()}) ==
            Mask::from_tile_rows(Visibility::all(together.rows(), visibility.key_len()), {},
                                 {one_by_one.finish()}));
}

TEST(TileRowBuilder, EmptyAndReversedRangesAddNothing) {
  TileRowBuilder builder(Visibility::all(1, 100));
  builder.add_range(0, 10, 10);
  builder.add_range(0, 20, 10);
  builder.add_range(0, 100, 200);
  builder.add_range(0, -20, 0);
  EXPECT_EQ(builder.active_count(0), 0);
  EXPECT_EQ(builder.finish().any, (std::vector<std::uint64_t>{0}));
}

TEST(TileRowBuilder, PreviousMaskOfOtherLengthsIsRefused) {
  TileRowBuilder builder(Visibility::all(2, 100));
  EXPECT_EQ(shape_error_of([&] { builder.start(0, Mask::empty(Visibility::all(3, 90)), 0, 0); }),
            "the previous mask is over 3 queries and 90 keys; it must be over 2 and 100");
}

}  // namespace
}  // namespace maskerade
