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

TEST(Oracle, RowErrorIsRelativeToTheLargestOutput) {
  const OracleRow oracle{{1.0, -4.0}, 0.0};
  const float exact[] = {1.0F, -4.0F};
  const float off[] = {1.5F, -4.0F};
  const float broken[] = {1.0F, std::numeric_limits<float>::quiet_NaN()};
  EXPECT_EQ(row_error(oracle, exact), 0.0);
  EXPECT_EQ(row_error(oracle, off), 0.125);
  EXPECT_EQ(row_error(oracle, broken), std::numeric_limits<double>::infinity());
  const OracleRow zero{{0.0, 0.0}, 0.0};
  EXPECT_EQ(row_error(zero, off), 4.0);
}

}  // namespace
}  // namespace maskerade
