#include <gtest/gtest.h>

#include <set>

#include "tests/maskers/masker_problem.hpp"

namespace maskerade {
namespace {

Mask draw_blocks(const MaskerProblem& problem,
                 const std::string& density,
                 const std::string& block,
                 const PipelineOptions& options = {}) {
  return run({use("block_random", {{"density", density}, {"block", block}})}, problem, options)
      .mask;
}

// The blocks of a row; every one of them is active as far as the row sees.
std::set<std::int64_t> blocks_of(const Mask& mask,
                                 std::int64_t h,
                                 std::int64_t query,
                                 std::int64_t block) {
  std::set<std::int64_t> blocks;
  for (std::int64_t key = 0; key < mask.visibility().end(query); ++key) {
    const bool is_active = mask.probability(0, h, query, key) == 1;
    if (key % block == 0 && is_active) blocks.insert(key / block);
    EXPECT_EQ(is_active, blocks.contains(key / block));
  }
  return blocks;
}

TEST(BlockRandom, TakesItsOwnBlockAndDrawsOthersToTheDensity) {
  for (const bool causal : {false, true}) {
    const MaskerProblem problem({1, 2, 1, 160, 160, 8}, {.causal = causal});
    const Mask mask = draw_blocks(problem, "29%", "16");
    for (std::int64_t h = 0; h < 2; ++h) {
      for (std::int64_t query = 0; query < 160; ++query) {
        const std::set<std::int64_t> blocks = blocks_of(mask, h, query, 16);
        const std::int64_t seen = causal ? query / 16 + 1 : 10;
        EXPECT_EQ(static_cast<std::int64_t>(blocks.size()),
                  std::max<std::int64_t>(1, 29 * seen / 100));
        EXPECT_TRUE(blocks.contains(query / 16));
        EXPECT_EQ(blocks, blocks_of(mask, h, query / 16 * 16, 16));
      }
    }
  }
}

TEST(BlockRandom, HeadsRowsAndSeedsDrawTheirOwn) {
  const MaskerProblem problem({1, 2, 1, 64, 640, 8});
  const Mask mask = draw_blocks(problem, "50%", "32");
  EXPECT_NE(blocks_of(mask, 0, 0, 32), blocks_of(mask, 1, 0, 32));
  EXPECT_NE(blocks_of(mask, 0, 0, 32), blocks_of(mask, 0, 32, 32));
  EXPECT_NE(mask, draw_blocks(problem, "50%", "32", {.seed = 1}));
  EXPECT_EQ(mask, draw_blocks(problem, "50%", "32", {.chunk_rows = 1}));
}

// 200 queries over 64 keys, all visible: positions begin at -136.
TEST(BlockRandom, QueriesBeforeTheFirstKeyHaveTheFirstBlock) {
  const MaskerProblem problem({1, 1, 1, 200, 64, 8});
  const Mask mask = draw_blocks(problem, "50%", "16");
  for (std::int64_t query = 0; query < 200; ++query) {
    const std::set<std::int64_t> blocks = blocks_of(mask, 0, query, 16);
    EXPECT_EQ(blocks.size(), 2U) << query;
    EXPECT_TRUE(blocks.contains(std::max<std::int64_t>(query - 136, 0) / 16)) << query;
  }
}

TEST(BlockRandom, WholeDensityIsEveryBlock) {
  const MaskerProblem problem({1, 1, 1, 70, 150, 8}, {.causal = true});
  EXPECT_EQ(draw_blocks(problem, "100%", "16"), Mask::full(problem.inputs().visibility));
}

}  // namespace
}  // namespace maskerade
