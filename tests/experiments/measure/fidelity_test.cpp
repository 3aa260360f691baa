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

constexpr double kInfinity = std::numeric_limits<double>::infinity();

// The shape of the compared outputs: two heads of two rows, head_dim 1.
const AttentionShape kTwoHeads{.query_heads = 2, .kv_heads = 2, .query_len = 2, .key_len = 4};

// Masses of a mask without sampled entries: the same for all three parts.
RowMasses masses_of(const std::vector<double>& lse) { return {lse, lse, lse}; }

const std::vector<double> kWholeMass = {0, 0, 0, 0};  // logarithms of a mass of 1 in every row

// Both outputs have all of the mass.
Fidelity compare(const AttentionOutput& sparse, const AttentionOutput& dense) {
  return compare_outputs(kTwoHeads, sparse, dense, masses_of(kWholeMass), kWholeMass);
}

TEST(CompareOutputs, GivesTheErrorsOfAHandCalculatedCase) {
  const AttentionOutput dense{{3, 4, 1, 0}, {0, 0, 0, 0}};
  const AttentionOutput sparse{{3, 4, 1, 1}, {0, 0, 0, 0}};
  const Fidelity fidelity = compare(sparse, dense);
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
  const AttentionOutput output{{1, 1, 1, 1}, {0, 0, 0, 0}};
  const double half = std::log(0.5);
  const Fidelity fidelity = compare_outputs(kTwoHeads, output, output,
                                            masses_of({half, 0, half, -kInfinity}), kWholeMass);
  EXPECT_NEAR(fidelity.attention_recall, (0.5 + 1 + 0.5 + 0) / 4, 1e-12);
  const HeadFidelity& first_head = fidelity.heads.front();
  const HeadFidelity& second_head = fidelity.heads.back();
  EXPECT_NEAR(first_head.attention_recall, (0.5 + 1) / 2, 1e-12);
  EXPECT_NEAR(second_head.attention_recall, (0.5 + 0) / 2, 1e-12);
  EXPECT_EQ(fidelity.sampled_share, 0);
  // The row whose sparse lse is -infinity has no part in the lse error.
  EXPECT_NEAR(fidelity.lse_error, 2 * std::log(2.0) / 3, 1e-12);
}

TEST(CompareOutputs, SharesStayWithinOneDespiteRounding) {
  const AttentionOutput output{{1, 1, 1, 1}, {0, 0, 0, 0}};
  const std::vector<double> above = {1e-15, 1e-15, 1e-15, 1e-15};
  const Fidelity fidelity =
      compare_outputs(kTwoHeads, output, output, {above, kWholeMass, kWholeMass}, kWholeMass);
  EXPECT_EQ(fidelity.attention_recall, 1);
  EXPECT_EQ(fidelity.sampled_share, 0);
}

TEST(CompareOutputs, NothingUndefinedPassesAsAGoodNumber) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const AttentionOutput dense{{1, 1, 1, 1}, {0, 0, 0, 0}};
  const AttentionOutput sparse{{nan, 1, 1, 1}, {nan, 0, 0, 0}};
  const Fidelity fidelity = compare(sparse, dense);
  EXPECT_TRUE(std::isnan(fidelity.rel_l2_error));
  EXPECT_TRUE(std::isnan(fidelity.rel_l2_error_max_head));
  EXPECT_TRUE(std::isnan(fidelity.lse_error));
}

TEST(CompareOutputs, ErrorAgainstAZeroOutputIsInfinite) {
  const AttentionOutput dense{{0, 0, 1, 1}, {0, 0, 0, 0}};
  const AttentionOutput sparse{{0, 1, 1, 1}, {0, 0, 0, 0}};
  const Fidelity fidelity = compare(sparse, dense);
  EXPECT_EQ(fidelity.rel_l2_error_max_head, std::numeric_limits<double>::infinity());
  EXPECT_DOUBLE_EQ(fidelity.rel_l2_error, std::sqrt(0.5));
  EXPECT_EQ(compare(dense, dense).rel_l2_error_max_head, 0);
}

TEST(CompareOutputs, RefusesOutputsOfAnotherShape) {
  const AttentionOutput small{{1, 1}, {0, 0}};
  EXPECT_THROW(compare(small, small), ShapeError);
}

// There is one query, and four keys whose softmax weights are 1/10, 2/10, 3/10 and 4/10.
TEST(CompareOutputs, TellsSampledMassFromDeterministicMass) {
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
  const auto fidelity_of = [&](const Mask& of, const AttentionOutput& output) {
    return compare_outputs(shape, output, dense, row_masses(inputs, of, threads),
                           row_masses(inputs, Mask::full(visibility), threads).weighted);
  };
  const Fidelity fidelity = fidelity_of(mask, sparse);
  EXPECT_NEAR(fidelity.attention_recall, 0.4, 1e-6);
  EXPECT_NEAR(fidelity.sampled_share, 0.2, 1e-6);
  EXPECT_NEAR(fidelity.lse_error, std::log(10.0 / 8.0), 1e-6);
  EXPECT_NEAR(fidelity.rel_l2_error, (3.0 - 2.6) / 2.6, 1e-6);

  const Mask certain = from_dense(visibility, {}, std::vector<float>{0, 0, 0, 1});
  const Fidelity without = fidelity_of(certain, attention_over(certain));
  EXPECT_NEAR(without.attention_recall, 0.4, 1e-6);
  EXPECT_EQ(without.sampled_share, 0);
}

// A float32 lse of 100,000 has steps of 0.0078: its difference would be worth nothing. Each of two
// queries sees nine keys of equal logits and keeps one.
TEST(CompareOutputs, RecallIsRightWhereLogitsAreHuge) {
  const AttentionShape shape{.query_len = 2, .key_len = 9, .head_dim = 1};
  const std::vector<float> queries = {1e5F, 1e7F};
  const std::vector<float> ones(9, 1.0F);
  const Tensor q = Tensor::from_floats(DType::kFloat32, 1, 1, 2, 1, queries.data());
  const Tensor k = Tensor::from_floats(DType::kFloat32, 1, 1, 9, 1, ones.data());
  const Visibility visibility = Visibility::all(2, 9);
  const AttentionInputs inputs{shape, q.view(), k.view(), k.view(), 1.0F, visibility, 0};
  std::vector<float> weights(18);
  weights[3] = weights[9 + 7] = 1;
  const Mask mask = from_dense(visibility, {}, weights);
  const Threads threads(1);
  const AttentionOutput output{{1, 1}, {1e5F, 1e7F}};
  const Fidelity fidelity =
      compare_outputs(shape, output, output, row_masses(inputs, mask, threads),
                      row_masses(inputs, Mask::full(visibility), threads).weighted);
  EXPECT_NEAR(fidelity.attention_recall, 1.0 / 9, 1e-9);
  EXPECT_NEAR(fidelity.lse_error, std::log(9.0), 1e-8);
}

}  // namespace
}  // namespace maskerade
