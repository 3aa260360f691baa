// The plans that the device makes, made on the CPU by the same code: what each row attends to by
// its plan is what its mask says.

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <set>

#include "tests/attention/cuda/host_plan.hpp"
#include "tests/attention/random_problem.hpp"

namespace maskerade::cuda {
namespace {

struct PlanCase {
  AttentionShape shape;
  Mask mask;
};

PlanCase random_case(unsigned seed) {
  std::mt19937 engine(seed);
  const auto pick = [&](std::initializer_list<std::int64_t> values) {
    return *(values.begin() + engine() % values.size());
  };
  AttentionShape shape;
  shape.batch = pick({1, 2});
  shape.kv_heads = pick({1, 2});
  shape.query_heads = shape.kv_heads * pick({1, 3, 5, 20, 70});
  shape.query_len = shape.query_heads > 100 ? 1 : pick({1, 2, 30, 64, 65, 130});
  shape.key_len = std::max(shape.query_len, pick({1, 64, 65, 300}));
  const Visibility visibility = engine() % 2 == 0
                                    ? Visibility::causal(shape.query_len, shape.key_len)
                                    : Visibility::all(shape.query_len, shape.key_len);
  const MaskExtent extent{pick({1, shape.batch}), pick({1, shape.kv_heads, shape.query_heads})};
  return {shape, random_mask(visibility, extent,
                             {.tiles = 0.3,
                              .keys = static_cast<double>(engine() % 3) * 0.1,
                              .sampled = engine() % 2 == 0},
                             seed)};
}

// The probability of a key in the problem's mask; 0 when it is not active.
float probability_of(const PlanCase& problem,
                     std::int64_t b,
                     std::int64_t head,
                     std::int64_t query,
                     std::int64_t key) {
  return problem.mask.probability(problem.mask.extent_batch(b),
                                  problem.mask.extent_head(head, problem.shape.query_heads), query,
                                  key);
}

// Expects every (batch, head, query) to be in one row block, and to read the row block's kv head.
// rows: the most rows of a row block.
template <typename Layout>
void expect_every_row_once(const Layout& layout, std::int64_t rows, const AttentionShape& shape) {
  std::set<std::int64_t> seen;
  for (std::int64_t block = 0; block < layout.row_blocks(); ++block) {
    const auto row_block = layout.row_block_at(block);
    for (std::int64_t r = 0; r < rows; ++r) {
      if (!layout.has_row(row_block, r)) continue;
      const std::int64_t row = layout.row_of(row_block, r);
      EXPECT_TRUE(seen.insert(row).second);
      EXPECT_EQ(shape.kv_head_of(row / shape.query_len % shape.query_heads), row_block.kv_head);
    }
  }
  EXPECT_EQ(static_cast<std::int64_t>(seen.size()), shape.rows());
}

TEST(CudaTilePlan, ListsTheTilesAndWordsOfEveryRow) {
  for (unsigned seed = 0; seed < 40; ++seed) {
    const PlanCase problem = random_case(seed);
    const AttentionShape& shape = problem.shape;
    SCOPED_TRACE(shape.to_string());
    const HostMask host(problem.mask);
    const HostTilePlan made(host, shape, seed % 2 == 1, 20'000);
    ASSERT_EQ(made.overflow, 0);
    const TilePlan& plan = made.plan;
    expect_every_row_once(plan.layout, kBlockRows, shape);
    for (std::int64_t block = 0; block < plan.layout.row_blocks(); ++block) {
      const std::int64_t piece = plan.layout.piece_of(block);
      const TileLayout::RowBlock row_block = plan.layout.row_block_at(block);
      const Range entries = plan.entries_of(piece);
      for (std::int64_t r = 0; r < kBlockRows; ++r) {
        if (!plan.layout.has_row(row_block, r)) continue;
        const std::int64_t row = plan.layout.row_of(row_block, r);
        const std::int64_t query = row % shape.query_len;
        const std::int64_t head = row / shape.query_len % shape.query_heads;
        std::vector<std::uint64_t> words(size(host.view.tiles()));
        for (std::int64_t e = entries.begin; e < entries.end; ++e) {
          const TileEntry entry = made.entries[size(e)];
          if (e > entries.begin) {
            ASSERT_GT(entry.tile, made.entries[size(e - 1)].tile);
          }
          words[size(entry.tile)] =
              entry.bits == kAllVisible   ? host.view.visible_word(query, entry.tile)
              : entry.bits == kNoneActive ? 0
                                          : made.bits[size(entry.bits * plan.layout.piece_rows() +
                                                           plan.layout.piece_row(r))];
        }
        for (std::int64_t key = 0; key < shape.key_len; ++key) {
          ASSERT_EQ((words[size(key / 64)] >> (key % 64)) & 1U,
                    probability_of(problem, row_block.batch, head, query, key) > 0 ? 1U : 0U)
              << "row " << row << " key " << key;
        }
      }
    }
  }
}

TEST(CudaTilePlan, ADensePlanListsEveryVisibleTile) {
  const AttentionShape shape{.query_len = 130, .key_len = 300, .head_dim = 8};
  const Visibility visibility = Visibility::causal(130, 300);
  const HostMask host(Mask::empty(visibility));
  const HostTilePlan plan(host, shape, true, 100);
  // Positions 170 ... 233, 234 ... 297 and 298, 299 see 4, 5 and 5 tiles.
  EXPECT_EQ(plan.plan.entries_of(0).end, 4);
  EXPECT_EQ(plan.plan.entries_of(1).end, 9);
  EXPECT_EQ(plan.plan.entries_of(2).end, 14);
  const TileEntry last = plan.entries[size(plan.plan.entries_of(2).end - 1)];
  EXPECT_EQ(last.tile, 4);
  EXPECT_EQ(last.bits, kNoneActive);
}

TEST(CudaRowPlan, ListsTheKeysOfEveryRow) {
  for (unsigned seed = 100; seed < 140; ++seed) {
    const PlanCase problem = random_case(seed);
    const AttentionShape& shape = problem.shape;
    SCOPED_TRACE(shape.to_string());
    const HostMask host(problem.mask);
    const HostRowPlan made(host, shape, seed % 3 == 0 ? 64 : 1, shape.rows() * shape.key_len);
    ASSERT_EQ(made.overflow, 0);
    const RowPlan& plan = made.plan;
    expect_every_row_once(plan.layout, kListRows, shape);
    for (std::int64_t block = 0; block < plan.layout.row_blocks(); ++block) {
      const RowLayout::RowBlock row_block = plan.layout.row_block_at(block);
      const Range keys = plan.keys_of(plan.layout.piece_of(block));
      for (std::int64_t r = 0; r < row_block.heads; ++r) {
        std::vector<float> probabilities(size(shape.key_len));
        for (std::int64_t k = keys.begin; k < keys.end; ++k) {
          if (plan.arrays.rows != nullptr && ((made.rows[size(k)] >> r) & 1U) == 0) continue;
          const float bias = plan.arrays.biases == nullptr
                                 ? 0
                                 : made.biases[size(k * plan.biases_of_key() +
                                                    (plan.layout.has_mask_per_head ? r : 0))];
          probabilities[size(made.keys[size(k)])] = std::exp2(-bias);
        }
        for (std::int64_t key = 0; key < shape.key_len; ++key) {
          ASSERT_NEAR(probabilities[size(key)],
                      probability_of(problem, row_block.batch, row_block.first_head + r,
                                     row_block.query, key),
                      1e-6);
        }
      }
    }
  }
}

}  // namespace
}  // namespace maskerade::cuda
