#include "experiments/measure/required_work.hpp"

#include <gtest/gtest.h>

#include <vector>

#include "framework/mask/conversions.hpp"

namespace maskerade {
namespace {

constexpr AttentionShape kShape{
    .batch = 2, .query_heads = 4, .kv_heads = 2, .query_len = 3, .key_len = 130, .head_dim = 8};

// A mask of `heads` heads and three rows. The first two rows of each head have the keys 1 and 2;
// the last row of head h has key 100 + h, with the given probability.
Mask mask_of(std::int64_t heads, float probability) {
  std::vector<float> weights(static_cast<std::size_t>(heads * 3 * 130));
  for (std::int64_t h = 0; h < heads; ++h) {
    for (const std::int64_t at : {1, 2, 131, 132}) {
      weights[static_cast<std::size_t>(h * 390 + at)] = 1;
    }
    weights[static_cast<std::size_t>(h * 390 + 260 + 100 + h)] = probability;
  }
  return from_dense(Visibility::all(3, 130), {1, heads}, weights);
}

TEST(RequiredWork, CountsTheKeysOfAGroupOnce) {
  for (const float probability : {1.0F, 0.25F}) {
    EXPECT_EQ(count_attended_keys(mask_of(1, probability), kShape), 2 * 2 * 3) << "for all heads";
    EXPECT_EQ(count_attended_keys(mask_of(2, probability), kShape), 2 * 2 * 3) << "for kv heads";
    EXPECT_EQ(count_attended_keys(mask_of(4, probability), kShape), 2 * 2 * 4) << "for query heads";
  }
  EXPECT_EQ(count_attended_keys(Mask::full(Visibility::all(3, 130)), kShape), 2 * 2 * 130);
  EXPECT_EQ(count_attended_keys(Mask::empty(Visibility::all(3, 130)), kShape), 0);
  const AttentionShape causal{.query_len = 3, .key_len = 70, .head_dim = 8};
  EXPECT_EQ(count_attended_keys(Mask::full(Visibility::at_positions({5, 9, 66}, 70, true)), causal),
            67);
}

TEST(RequiredWork, IsBoundByArithmeticOrMemory) {
  const RequiredWork work = required_work(mask_of(1, 1), kShape, DType::kBFloat16, 120);
  EXPECT_DOUBLE_EQ(work.flops, 4.0 * 8 * 120);
  // K and V of 12 keys take 2 bytes an element; q of 24 rows takes 2, their out and lse 4.
  EXPECT_DOUBLE_EQ(work.bytes, 12.0 * 2 * 8 * 2 + 24.0 * (8 * (2 + 4) + 4));
  EXPECT_DOUBLE_EQ(work.attainable_ms({.flops_per_second = 1e3, .read_bytes_per_second = 1e9}),
                   work.flops);
  EXPECT_DOUBLE_EQ(work.attainable_ms({.flops_per_second = 1e9, .read_bytes_per_second = 1e3}),
                   work.bytes);
}

}  // namespace
}  // namespace maskerade
