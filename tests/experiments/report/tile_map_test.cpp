#include "experiments/report/tile_map.hpp"

#include <gtest/gtest.h>

#include "framework/mask/conversions.hpp"

namespace maskerade {
namespace {

using Lines = std::vector<std::string>;

TEST(TileMap, ShowsEachEntryWhereThereIsRoom) {
  const Visibility visibility = Visibility::causal(3, 4);
  const Mask mask =
      from_dense(visibility, {}, std::vector<float>{1, 0, 0, 0, 0, 0.5F, 0, 0, 1, 1, 1, 1});
  const TileMap map = tile_map(mask, {.queries = {0, 3}, .keys = {0, 4}}, 80, 10);
  EXPECT_EQ(map.queries_per_line, 1);
  EXPECT_EQ(map.keys_per_character, 1);
  EXPECT_EQ(map.lines, (Lines{"         0 █·     50.0 %", "         1 ·█·    33.3 %",
                              "         2 ████    100 %"}));
}

TEST(TileMap, GathersEntriesInBlocks) {
  const Visibility visibility = Visibility::all(4, 160);
  std::vector<float> weights(4 * 160);
  // Keys 0-19 of all queries, keys 20-39 of one of two, key 40 of one of two.
  for (std::size_t query = 0; query < 4; ++query) {
    for (std::size_t key = 0; key < 40; ++key) {
      weights[query * 160 + key] = key < 20 || query % 2 == 0 ? 1 : 0;
    }
    weights[query * 160 + 40] = query % 2 == 0 ? 1 : 0;
  }
  const Mask mask = from_dense(visibility, {}, weights);
  const TileMap map = tile_map(mask, {.queries = {0, 4}, .keys = {0, 160}}, 30, 2);
  EXPECT_EQ(map.queries_per_line, 2);
  EXPECT_EQ(map.keys_per_character, 20);
  EXPECT_EQ(map.lines, (Lines{"         0 █▒░·····   19.1 %", "         2 █▒░·····   19.1 %"}));
}

// A tile that is full as far as it is visible.
TEST(TileMap, CountsWhatIsVisibleOfFullTiles) {
  const Mask mask = Mask::full(Visibility::causal(70, 130));
  const TileMap map = tile_map(mask, {.queries = {66, 67}, .keys = {124, 130}}, 80, 10);
  EXPECT_EQ(map.lines, Lines{"        66 ███       100 %"});
}

TEST(TileMap, ShowsTheHeadThatIsAskedFor) {
  const Visibility visibility = Visibility::all(1, 2);
  const Mask mask = from_dense(visibility, {2, 2}, std::vector<float>{0, 0, 0, 0, 0, 0, 1, 0});
  const TileMap map =
      tile_map(mask, {.batch = 1, .head = 1, .queries = {0, 1}, .keys = {0, 2}}, 80, 10);
  EXPECT_EQ(map.lines, Lines{"         0 █·   50.0 %"});
}

}  // namespace
}  // namespace maskerade
