#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <cmath>

#include "attention/cpu/cpu_plan.hpp"
#include "framework/base/error.hpp"
#include "tests/attention/random_problem.hpp"

namespace maskerade {
namespace {

// Reads a plan back: weights[batch, query_heads, query_len, key_len], 0 where inactive. Fails when
// an entry is planned twice.
std::vector<float> planned_weights(const CpuPlan& plan) {
  const AttentionShape& shape = plan.shape;
  std::vector<float> weights(static_cast<std::size_t>(shape.rows() * shape.key_len));
  for (const RowBlock& rows : plan.row_blocks) {
    for (std::int64_t k = rows.blocks_begin; k < rows.blocks_end; ++k) {
      const KeyBlock& block = plan.key_blocks[static_cast<std::size_t>(k)];
      const auto entry = [&](std::int64_t r, std::int64_t column) -> float& {
        const std::int64_t key =
            block.list_offset < 0
                ? block.first_key + column
                : plan.key_list[static_cast<std::size_t>(block.list_offset + column)];
        const std::int64_t row =
            (rows.batch * shape.query_heads + rows.first_head + r / rows.queries) *
                shape.query_len +
            rows.first_query + r % rows.queries;
        return weights[static_cast<std::size_t>(row * shape.key_len + key)];
      };
      for (std::int64_t r = 0; r < rows.heads * rows.queries; ++r) {
        for (std::int64_t column = 0; column < block.count; ++column) {
          const bool active =
              block.bits_offset < 0 ||
              ((plan.bits[static_cast<std::size_t>(block.bits_offset + r)] >> column) & 1U) != 0;
          if (!active) continue;
          EXPECT_EQ(entry(r, column), 0.0F) << "planned twice";
          entry(r, column) = 1;
        }
      }
      for (std::int64_t s = block.samples_begin; s < block.samples_end; ++s) {
        const PlannedSample& sample = plan.samples[static_cast<std::size_t>(s)];
        EXPECT_EQ(entry(sample.row, sample.column), 1.0F) << "a sample without its bit";
        entry(sample.row, sample.column) = std::exp(sample.log_probability);
      }
    }
  }
  return weights;
}

void expect_plan_holds_mask(const CpuPlan& plan, const Mask& mask) {
  const AttentionShape& shape = plan.shape;
  const std::vector<float> weights = planned_weights(plan);
  const std::vector<float> dense = to_dense(mask);
  std::size_t row = 0;
  std::int64_t wrong = 0;
  for (std::int64_t b = 0; b < shape.batch; ++b) {
    for (std::int64_t h = 0; h < shape.query_heads; ++h) {
      for (std::int64_t i = 0; i < shape.query_len; ++i, ++row) {
        const std::int64_t mask_row =
            (mask.extent_batch(b) * mask.extent().heads + mask.extent_head(h, shape.query_heads)) *
                shape.query_len +
            i;
        for (std::int64_t key = 0; key < shape.key_len; ++key) {
          const float planned = weights[row * static_cast<std::size_t>(shape.key_len) +
                                        static_cast<std::size_t>(key)];
          const float expected = dense[static_cast<std::size_t>(mask_row * shape.key_len + key)];
          wrong += std::abs(planned - expected) <= 1e-6F ? 0 : 1;
        }
      }
    }
  }
  EXPECT_EQ(wrong, 0);
}

RC_GTEST_PROP(Plan, HoldsExactlyTheMask, ()) {
  AttentionShape shape;
  shape.batch = *rc::gen::inRange<std::int64_t>(1, 3);
  shape.kv_heads = *rc::gen::inRange<std::int64_t>(1, 3);
  shape.query_heads = shape.kv_heads * *rc::gen::element<std::int64_t>(1, 3, 4, 8, 70);
  shape.query_len = *rc::gen::element<std::int64_t>(1, 2, 17, 64, 70, 130);
  shape.key_len = *rc::gen::element<std::int64_t>(1, 63, 64, 65, 150, 300);
  if (shape.query_heads > 24) shape.query_len = std::min<std::int64_t>(shape.query_len, 2);
  const bool causal = shape.query_len <= shape.key_len && *rc::gen::arbitrary<bool>();
  const Visibility visibility = causal ? Visibility::causal(shape.query_len, shape.key_len)
                                       : Visibility::all(shape.query_len, shape.key_len);
  const MaskExtent extent{*rc::gen::element<std::int64_t>(1, shape.batch),
                          *rc::gen::element<std::int64_t>(1, shape.kv_heads, shape.query_heads)};
  const RandomMaskOptions options{.tiles = *rc::gen::element(0.0, 0.5, 1.0),
                                  .keys = *rc::gen::element(0.0, 0.05, 0.5),
                                  .sampled = *rc::gen::arbitrary<bool>()};
  const Mask mask = random_mask(visibility, extent, options, *rc::gen::arbitrary<unsigned>());
  for (const Walk kernel : {Walk::kDense, Walk::kTiles, Walk::kRows}) {
    expect_plan_holds_mask(make_cpu_plan(mask, shape, kernel, Threads(2)), mask);
  }
  expect_plan_holds_mask(make_cpu_plan(mask, shape, std::nullopt, Threads(2)), mask);
}

TEST(Plan, AFullMaskNeedsNoBits) {
  const AttentionShape shape{
      .query_heads = 4, .kv_heads = 2, .query_len = 200, .key_len = 330, .head_dim = 64};
  const CpuPlan plan =
      make_cpu_plan(Mask::full(Visibility::all(200, 330)), shape, Walk::kDense, Threads(1));
  EXPECT_TRUE(plan.bits.empty());
  EXPECT_EQ(plan.row_blocks.size(), 16U);
  EXPECT_EQ(plan.key_blocks.size(), 4U * 6) << "heads that share a mask share key blocks";
  EXPECT_EQ(plan.key_blocks.back().count, 10);
  EXPECT_EQ(plan.kv_bytes_touched(DType::kBFloat16), 16 * 330 * 2 * 64 * 2);
}

TEST(Plan, CausalEdgeTilesAloneHaveBits) {
  const AttentionShape shape{
      .query_heads = 1, .kv_heads = 1, .query_len = 192, .key_len = 192, .head_dim = 8};
  const CpuPlan plan =
      make_cpu_plan(Mask::full(Visibility::causal(192, 192)), shape, Walk::kTiles, Threads(1));
  EXPECT_EQ(plan.key_blocks.size(), 6U) << "1 + 2 + 3 tiles";
  EXPECT_EQ(plan.bits.size(), 3U * 64);
}

TEST(Plan, DecodeStacksTheHeadsOfAGroup) {
  const AttentionShape shape{
      .query_heads = 8, .kv_heads = 2, .query_len = 1, .key_len = 640, .head_dim = 16};
  for (const Walk kernel : {Walk::kDense, Walk::kTiles, Walk::kRows}) {
    const CpuPlan plan =
        make_cpu_plan(Mask::full(Visibility::all(1, 640)), shape, kernel, Threads(1));
    ASSERT_EQ(plan.row_blocks.size(), 2U);
    EXPECT_EQ(plan.row_blocks[1].first_head, 4);
    EXPECT_EQ(plan.row_blocks[1].heads, 4);
    EXPECT_EQ(plan.row_blocks[1].queries, 1);
    EXPECT_EQ(plan.kv_bytes_touched(DType::kFloat32), 2 * 640 * 2 * 16 * 4) << "read once a group";
  }
}

TEST(Plan, TilesAndRowsTouchWhatIsActive) {
  const AttentionShape shape{
      .query_heads = 2, .kv_heads = 1, .query_len = 1, .key_len = 1000, .head_dim = 16};
  std::vector<float> weights(2000);
  for (const std::size_t at : {3U, 900U, 1003U, 1500U}) weights[at] = 1;  // keys 3, 500, 900
  const Mask mask = from_dense(Visibility::all(1, 1000), {1, 2}, weights);
  EXPECT_EQ(make_cpu_plan(mask, shape, Walk::kDense, Threads(1)).key_blocks.size(), 16U);
  EXPECT_EQ(make_cpu_plan(mask, shape, Walk::kTiles, Threads(1)).key_blocks.size(), 3U);
  const CpuPlan rows = make_cpu_plan(mask, shape, Walk::kRows, Threads(1));
  EXPECT_EQ(rows.key_list, (std::vector<std::int32_t>{3, 500, 900}));
  EXPECT_EQ(rows.bits, (std::vector<std::uint64_t>{0b101, 0b011}));
}

TEST(Plan, QueriesThatShareKeysShareARowBlock) {
  const AttentionShape shape{
      .query_heads = 1, .kv_heads = 1, .query_len = 64, .key_len = 2000, .head_dim = 16};
  std::vector<float> same(64 * 2000);
  std::vector<float> own(64 * 2000);
  for (std::size_t i = 0; i < 64; ++i) {
    for (std::size_t j = 0; j < 30; ++j) {
      same[i * 2000 + j * 61] = 1;
      own[i * 2000 + j * 64 + i] = 1;
    }
  }
  const Visibility visibility = Visibility::all(64, 2000);
  CostModel costs = CostModel::defaults();
  const auto row_blocks = [&](const std::vector<float>& weights) {
    return make_cpu_plan(from_dense(visibility, {}, weights), shape, Walk::kRows, DType::kFloat32,
                         costs, Threads(1))
        .row_blocks.size();
  };
  EXPECT_EQ(row_blocks(same), 1U);
  costs.of(DType::kFloat32).few_rows.row_block = 0;
  EXPECT_EQ(row_blocks(own), 64U);
}

TEST(Plan, HeadsWithKeysOfTheirOwnHaveRowBlocksOfTheirOwn) {
  const AttentionShape shape{
      .query_heads = 4, .kv_heads = 1, .query_len = 64, .key_len = 4096, .head_dim = 64};
  std::vector<float> weights(4 * 64 * 4096);
  for (std::size_t row = 0; row < 4 * 64; ++row) {
    for (std::size_t j = 0; j < 40; ++j) {
      weights[row * 4096 + (row / 64) * 1024 + (row % 64) / 8 * 128 + j * 3] = 1;
    }
  }
  const Mask mask = from_dense(Visibility::all(64, 4096), {1, 4}, weights);
  const CpuPlan plan = make_cpu_plan(mask, shape, Walk::kRows, Threads(1));
  for (const RowBlock& rows : plan.row_blocks) EXPECT_EQ(rows.heads, 1);
  expect_plan_holds_mask(plan, mask);
}

TEST(Plan, NamesItsKernelsByTheirShareOfTheRowBlocks) {
  CpuPlan plan;
  EXPECT_EQ(plan.kernel_mix(), "");
  plan.row_blocks.resize(1000, {.walk = Walk::kTiles});
  EXPECT_EQ(plan.kernel_mix(), "tiles");
  plan.row_blocks[0].walk = Walk::kRows;
  EXPECT_EQ(plan.kernel_mix(), "tiles >99%, rows <1%");
  for (std::size_t i = 0; i < 820; ++i) plan.row_blocks[i].walk = Walk::kDense;
  EXPECT_EQ(plan.kernel_mix(), "dense 82%, tiles 18%");
}

TEST(Plan, IsTheSameForAnyThreadCount) {
  const AttentionShape shape{
      .batch = 2, .query_heads = 4, .kv_heads = 2, .query_len = 150, .key_len = 300, .head_dim = 8};
  const Mask mask = random_mask(Visibility::causal(150, 300), {2, 4}, {.sampled = true}, 5);
  for (const Walk kernel : {Walk::kDense, Walk::kTiles, Walk::kRows}) {
    const CpuPlan one = make_cpu_plan(mask, shape, kernel, Threads(1));
    const CpuPlan two = make_cpu_plan(mask, shape, kernel, Threads(2));
    EXPECT_EQ(one.bits, two.bits);
    EXPECT_EQ(one.key_list, two.key_list);
    EXPECT_EQ(one.size_bytes(), two.size_bytes());
    EXPECT_EQ(planned_weights(one), planned_weights(two));
  }
}

TEST(Plan, AMaskThatDoesNotFitIsRefused) {
  const AttentionShape shape{
      .batch = 2, .query_heads = 4, .kv_heads = 2, .query_len = 5, .key_len = 30, .head_dim = 8};
  const auto message = [&](const Mask& mask) {
    try {
      make_cpu_plan(mask, shape, Walk::kTiles, Threads(1));
    } catch (const ShapeError& error) {
      return std::string(error.what());
    }
    return std::string("no error");
  };
  EXPECT_EQ(message(Mask::full(Visibility::all(5, 31))),
            "the mask is 5 x 31; the shape asks for 5 x 30");
  EXPECT_EQ(message(Mask::full(Visibility::all(5, 30), {3, 1})),
            "the mask has batch 3; the shape asks for 1 or 2");
  EXPECT_EQ(message(Mask::full(Visibility::all(5, 30), {1, 3})),
            "the mask has 3 heads; the shape asks for 1, 2 or 4");
}

TEST(Plan, NamesItsWalksAsTheTableOfKernelsDoes) {
  EXPECT_EQ(name_of(Walk::kDense), "dense");
  EXPECT_EQ(name_of(Walk::kTiles), "tiles");
  EXPECT_EQ(name_of(Walk::kRows), "rows");
}

}  // namespace
}  // namespace maskerade
