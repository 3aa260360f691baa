#include "experiments/run/head_densities.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <cmath>
#include <numeric>

#include "framework/mask/conversions.hpp"

namespace maskerade {
namespace {

TEST(HeadDensities, OfAHandMadeMask) {
  const Visibility visibility = Visibility::causal(2, 3);  // 2 + 3 visible entries
  const AttentionShape shape{
      .batch = 1, .query_heads = 2, .kv_heads = 1, .query_len = 2, .key_len = 3, .head_dim = 1};
  const Mask mask =
      from_dense(visibility, {1, 2}, std::vector<float>{1, 1, 0, 1, 1, 1, 0, 0, 0, 0.5F, 0, 1});
  EXPECT_EQ(head_densities(mask, shape), (std::vector<double>{1, 0.4}));
}

TEST(HeadDensities, AreThoseOfTheBroadcastCopies) {
  const Visibility visibility = Visibility::all(1, 4);
  const AttentionShape shape{
      .batch = 2, .query_heads = 4, .kv_heads = 2, .query_len = 1, .key_len = 4, .head_dim = 1};
  const Mask per_group = from_dense(visibility, {1, 2}, std::vector<float>{1, 0, 0, 0, 1, 1, 1, 0});
  EXPECT_EQ(head_densities(per_group, shape),
            (std::vector<double>{0.25, 0.25, 0.75, 0.75, 0.25, 0.25, 0.75, 0.75}));
  EXPECT_EQ(head_densities(Mask::full(visibility), shape), std::vector<double>(8, 1.0));
}

RC_GTEST_PROP(HeadDensities, AverageToTheDensityOfTheMask, ()) {
  const std::int64_t query_len = *rc::gen::inRange(1, 130);
  const std::int64_t key_len = *rc::gen::inRange<std::int64_t>(query_len, 200);
  const AttentionShape shape{.batch = 2,
                             .query_heads = 3,
                             .kv_heads = 3,
                             .query_len = query_len,
                             .key_len = key_len,
                             .head_dim = 1};
  const auto period = *rc::gen::inRange<std::int64_t>(1, 400);
  std::vector<float> dense(static_cast<std::size_t>(2 * 3 * query_len * key_len));
  for (std::size_t i = 0; i < dense.size(); ++i) {
    const auto step = static_cast<std::int64_t>(i) / period % 3;
    dense[i] = step == 0 ? 1.0F : step == 1 ? 0.0F : 0.25F;
  }
  const Mask mask = from_dense(Visibility::causal(query_len, key_len), {2, 3}, dense);
  const std::vector<double> densities = head_densities(mask, shape);
  RC_ASSERT(densities.size() == 6U);
  const double mean = std::accumulate(densities.begin(), densities.end(), 0.0) / 6;
  RC_ASSERT(std::abs(mean - density(mask)) < 1e-12);
}

}  // namespace
}  // namespace maskerade
