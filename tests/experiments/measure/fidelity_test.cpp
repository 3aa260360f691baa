#include "experiments/measure/fidelity.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "attention/cpu/attend.hpp"
#include "attention/cpu/cpu_plan.hpp"
#include "framework/base/error.hpp"
#include "framework/mask/conversions.hpp"

namespace maskerade {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

// The shape of the compared outputs: two heads of two rows, head_dim 1.
const AttentionShape kTwoHeads{.query_heads = 2, .kv_heads = 2, .query_len = 2, .key_len = 4};

TEST(CompareOutputs, GivesTheErrorsOfAHandCalculatedCase) {
  const AttentionOutput dense{{3, 4, 1, 0}, {0, 0, 0, 0}};
  const AttentionOutput sparse{{3, 4, 1, 1}, {0, 0, 0, 0}};
  const Fidelity fidelity = compare_outputs(kTwoHeads, sparse, dense, {sparse.lse, sparse.lse});
  EXPECT_DOUBLE_EQ(fidelity.rel_l2_error, std::sqrt(1.0 / 26.0));
  EXPECT_DOUBLE_EQ(fidelity.rel_l2_error_median_head, 0.5);  // of 0 and 1
  EXPECT_DOUBLE_EQ(fidelity.rel_l2_error_p95_head, 0.95);
  EXPECT_DOUBLE_EQ(fidelity.rel_l2_error_max_head, 1);
  ASSERT_EQ(fidelity.heads.size(), 2U);
  const HeadFidelity& first_head = fidelity.heads.front();
  const HeadFidelity& second_head = fidelity.heads.back();
  EXPECT_EQ(first_head.rel_l2_error, 0);
  EXPECT_DOUBLE_EQ(second_head.rel_l2_error, 1);
  EXPECT_EQ(fidelity.attention_recall, 1);
  EXPECT_EQ(fidelity.sampled_share, 0);
  EXPECT_EQ(fidelity.lse_error, 0);
}

TEST(CompareOutputs, RecallIsTheShareOfTheSoftmaxMass) {
  const AttentionOutput dense{{1, 1, 1, 1}, {0, 0, 0, 0}};
  const float half = std::log(0.5F);
  const AttentionOutput sparse{{1, 1, 1, 1}, {half, 0, half, -kInfinity}};
  const Fidelity fidelity = compare_outputs(kTwoHeads, sparse, dense, {sparse.lse, sparse.lse});
  EXPECT_NEAR(fidelity.attention_recall, (0.5 + 1 + 0.5 + 0) / 4, 1e-7);
  const HeadFidelity& first_head = fidelity.heads.front();
  const HeadFidelity& second_head = fidelity.heads.back();
  EXPECT_NEAR(first_head.attention_recall, (0.5 + 1) / 2, 1e-7);
  EXPECT_NEAR(second_head.attention_recall, (0.5 + 0) / 2, 1e-7);
  EXPECT_EQ(fidelity.sampled_share, 0);
  // The row whose sparse lse is -infinity has no part in the lse error.
  EXPECT_NEAR(fidelity.lse_error, 2 * std::log(2.0) / 3, 1e-7);
}

TEST(CompareOutputs, SharesStayWithinOneDespiteRounding) {
  const AttentionOutput dense{{1, 1, 1, 1}, {0, 0, 0, 0}};
  const std::vector<float> above = {1e-6F, 1e-6F, 1e-6F, 1e-6F};
  const Fidelity fidelity = compare_outputs(kTwoHeads, dense, dense, {above, dense.lse});
  EXPECT_EQ(fidelity.attention_recall, 1);
  EXPECT_EQ(fidelity.sampled_share, 0);
}

TEST(CompareOutputs, NothingUndefinedPassesAsAGoodNumber) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const AttentionOutput dense{{1, 1, 1, 1}, {0, 0, 0, 0}};
  const AttentionOutput sparse{{nan, 1, 1, 1}, {nan, 0, 0, 0}};
  const Fidelity fidelity = compare_outputs(kTwoHeads, sparse, dense, {sparse.lse, sparse.lse});
  EXPECT_TRUE(std::isnan(fidelity.rel_l2_error));
  EXPECT_TRUE(std::isnan(fidelity.rel_l2_error_max_head));
  EXPECT_TRUE(std::isnan(fidelity.attention_recall));
  EXPECT_TRUE(std::isnan(fidelity.lse_error));
}

TEST(CompareOutputs, ErrorAgainstAZeroOutputIsInfinite) {
  const AttentionOutput dense{{0, 0, 1, 1}, {0, 0, 0, 0}};
  const AttentionOutput sparse{{0, 1, 1, 1}, {0, 0, 0, 0}};
  const Fidelity fidelity = compare_outputs(kTwoHeads, sparse, dense, {sparse.lse, sparse.lse});
  EXPECT_EQ(fidelity.rel_l2_error_max_head, std::numeric_limits<double>::infinity());
  EXPECT_DOUBLE_EQ(fidelity.rel_l2_error, std::sqrt(0.5));
  EXPECT_EQ(compare_outputs(kTwoHeads, dense, dense, {dense.lse, dense.lse}).rel_l2_error_max_head,
            0);
}

TEST(CompareOutputs, RefusesOutputsOfAnotherShape) {
  const AttentionOutput small{{1, 1}, {0, 0}};
  EXPECT_THROW(compare_outputs(kTwoHeads, small, small, {small.lse, small.lse}), ShapeError);
}

// There is one query, and four keys whose softmax weights are 1/10, 2/10, 3/10 and 4/10.
TEST(MeasureFidelity, TellsSampledMassFromDeterministicMass) {
  const AttentionShape shape{.key_len = 4};
  const std::vector<float> one = {1};
  const std::vector<float> logits = {std::log(1.0F), std::log(2.0F), std::log(3.0F),
                                     std::log(4.0F)};
  const std::vector<float> values = {1, 1, 1, 5};
  const Tensor q = Tensor::from_floats(DType::kFloat32, 1, 1, 1, 1, one.data());
  const Tensor k = Tensor::from_floats(DType::kFloat32, 1, 1, 4, 1, logits.data());
  const Tensor v = Tensor::from_floats(DType::kFloat32, 1, 1, 4, 1, values.data());
  const Visibility visibility = Visibility::all(1, 4);
  const AttentionInputs inputs{shape, q.view(), k.view(), v.view(), 1.0F, visibility, 0};
  const Threads threads(1);
  const auto attention_over = [&](const Mask& mask) {
    AttentionOutput output;
    attend(inputs, make_cpu_plan(mask, shape, Walk::kTiles, threads), threads, output);
    return output;
  };
  const AttentionOutput dense = attention_over(Mask::full(visibility));
  // The mask has key 3 with p = 1 and key 1 with p = 1/2. Key 1 then counts twice: of a mass of 2 /
  // 10 it makes 4 / 10.
  const Mask mask = from_dense(visibility, {}, std::vector<float>{0, 0.5F, 0, 1});
  const AttentionOutput sparse = attention_over(mask);
  const Fidelity fidelity = measure_fidelity(inputs, mask, sparse, dense, threads);
  EXPECT_NEAR(fidelity.attention_recall, 0.4, 1e-6);
  EXPECT_NEAR(fidelity.sampled_share, 0.2, 1e-6);
  EXPECT_NEAR(fidelity.lse_error, std::log(10.0 / 8.0), 1e-6);
  EXPECT_NEAR(fidelity.rel_l2_error, (3.0 - 2.6) / 2.6, 1e-6);

  const Mask certain = from_dense(visibility, {}, std::vector<float>{0, 0, 0, 1});
  const Fidelity without =
      measure_fidelity(inputs, certain, attention_over(certain), dense, threads);
  EXPECT_NEAR(without.attention_recall, 0.4, 1e-6);
  EXPECT_EQ(without.sampled_share, 0);
}

}  // namespace
}  // namespace maskerade
