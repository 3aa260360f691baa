#include "attention/reference/oracle.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "experiments/rules/random_problem.hpp"
#include "framework/mask/conversions.hpp"

namespace maskerade {
namespace {

using rules::random_mask;
using rules::RandomProblem;

// Softmax over a dense array of probabilities, by the definition.
TEST(Oracle, EqualsAttentionWithDenseWeights) {
  const AttentionShape shape{
      .batch = 2, .query_heads = 6, .kv_heads = 2, .query_len = 66, .key_len = 130, .head_dim = 4};
  const RandomProblem problem(shape, DType::kFloat32, true, 1);
  const Mask mask = random_mask(problem.inputs.visibility, {2, 2}, {.sampled = true}, 2);
  const std::vector<float> dense = to_dense(mask);
  for (const std::int64_t b : {0, 1}) {
    for (const std::int64_t h : {0, 2, 3, 5}) {
      for (const std::int64_t i : {0, 1, 63, 64, 65}) {
        const OracleRow row = oracle_row(problem.inputs, mask, b, h, i);
        double out[4] = {};
        double sum = 0;
        for (std::int64_t key = 0; key < shape.key_len; ++key) {
          const auto at = static_cast<std::size_t>(((b * 2 + h / 3) * 66 + i) * 130 + key);
          if (dense[at] == 0) continue;
          const auto* q = static_cast<const float*>(problem.inputs.q.row(b, h, i));
          const auto* k = static_cast<const float*>(problem.inputs.k.row(b, h / 3, key));
          const auto* v = static_cast<const float*>(problem.inputs.v.row(b, h / 3, key));
          double dot = 0;
          for (int d = 0; d < 4; ++d) dot += static_cast<double>(q[d]) * k[d];
          const double weight = std::exp(problem.inputs.scale * dot) / dense[at];
          sum += weight;
          for (int d = 0; d < 4; ++d) out[d] += weight * v[d];
        }
        if (sum == 0) {
          EXPECT_EQ(row.lse, -std::numeric_limits<double>::infinity());
          EXPECT_EQ(row.out, std::vector<double>(4, 0.0));
          continue;
        }
        EXPECT_NEAR(row.lse, std::log(sum), 1e-12);
        for (std::size_t d = 0; d < 4; ++d) EXPECT_NEAR(row.out[d], out[d] / sum, 1e-12);
      }
    }
  }
}

// Two keys: q.k is 3 - 8 and 1 + 2, so that the magnitudes are 11 and 3.
TEST(Oracle, GivesTheConditionOfTheLogitsAndTheCancellationOfTheValues) {
  const AttentionShape shape{.key_len = 2, .head_dim = 2};
  const std::vector<float> q = {1, 2};
  const std::vector<float> k = {3, -4, 1, 1};
  const std::vector<float> v = {1, 1, -1, 3};
  const Tensor queries = Tensor::from_floats(DType::kFloat32, 1, 1, 1, 2, q.data());
  const Tensor keys = Tensor::from_floats(DType::kFloat32, 1, 1, 2, 2, k.data());
  const Tensor values = Tensor::from_floats(DType::kFloat32, 1, 1, 2, 2, v.data());
  const Visibility visibility = Visibility::all(1, 2);
  const AttentionInputs inputs{shape, queries.view(), keys.view(), values.view(), 0.5F, visibility,
                               0};
  const OracleRow row = oracle_row(inputs, Mask::full(visibility), 0, 0, 0);
  EXPECT_DOUBLE_EQ(row.logit_condition, 0.5 * 11);
  const double weight = 1 / (1 + std::exp(0.5 * 8));  // of the first key
  EXPECT_DOUBLE_EQ(row.cancellation, (weight + 3 * (1 - weight)) / (weight + 3 * (1 - weight)));
  // With the second component gone, the values of the first one cancel.
  const std::vector<float> cancelling = {1, 0, -1, 0};
  const Tensor pair = Tensor::from_floats(DType::kFloat32, 1, 1, 2, 2, cancelling.data());
  const AttentionInputs cancelled{shape, queries.view(), keys.view(), pair.view(), 0.5F, visibility,
                                  0};
  EXPECT_DOUBLE_EQ(oracle_row(cancelled, Mask::full(visibility), 0, 0, 0).cancellation,
                   1 / (1 - 2 * weight));
  const OracleRow none = oracle_row(inputs, Mask::empty(visibility), 0, 0, 0);
  EXPECT_EQ(none.logit_condition, 0);
  EXPECT_EQ(none.cancellation, 1);
}

TEST(Oracle, ValuesThatCancelToNothingAreInfinitelyIllConditioned) {
  const AttentionShape shape{.key_len = 2, .head_dim = 1};
  const std::vector<float> zeros = {0, 0};
  const std::vector<float> v = {2, -2};
  const Tensor same = Tensor::from_floats(DType::kFloat32, 1, 1, 2, 1, zeros.data());
  const Tensor values = Tensor::from_floats(DType::kFloat32, 1, 1, 2, 1, v.data());
  const Tensor query = Tensor::from_floats(DType::kFloat32, 1, 1, 1, 1, zeros.data());
  const Visibility visibility = Visibility::all(1, 2);
  const AttentionInputs inputs{shape, query.view(), same.view(), values.view(), 1.0F, visibility,
                               0};
  EXPECT_EQ(oracle_row(inputs, Mask::full(visibility), 0, 0, 0).cancellation,
            std::numeric_limits<double>::infinity());
  const AttentionInputs no_values{shape, query.view(), same.view(), same.view(), 1.0F, visibility,
                                  0};
  EXPECT_EQ(oracle_row(no_values, Mask::full(visibility), 0, 0, 0).cancellation, 1);
}

}  // namespace
}  // namespace maskerade
