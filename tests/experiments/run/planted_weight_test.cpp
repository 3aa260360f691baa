// A check that can fail: right kernels pass the oracle on data that amplifies rounding, and a
// kernel that weighs one key wrongly does not.
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <string>
#include <vector>

#include "attention/cpu/attend.hpp"
#include "attention/cpu/cpu_plan.hpp"
#include "attention/reference/row_judgement.hpp"
#include "experiments/measure/oracle_check.hpp"
#include "experiments/rules/random_problem.hpp"
#include "experiments/sources/structured.hpp"
#include "framework/mask/conversions.hpp"

namespace maskerade {
namespace {

struct Problem {
  Tensor q, k, v;
  AttentionInputs inputs;
};

Problem problem_of(const AttentionShape& shape, const Tensor& q, const Tensor& k, const Tensor& v) {
  const auto scale = static_cast<float>(1 / std::sqrt(static_cast<double>(shape.head_dim)));
  return {q,
          k,
          v,
          {shape, q.view(), k.view(), v.view(), scale,
           Visibility::causal(shape.query_len, shape.key_len), 0}};
}

Problem normal(DType dtype) {
  const AttentionShape shape{
      .query_heads = 4, .kv_heads = 2, .query_len = 32, .key_len = 512, .head_dim = 64};
  return problem_of(shape, rules::normal_tensor(dtype, 1, 4, 32, 64, 1),
                    rules::normal_tensor(dtype, 1, 2, 512, 64, 2),
                    rules::normal_tensor(dtype, 1, 2, 512, 64, 3));
}

// Logits far beyond 30, where float32 rounds them to hundred-thousandths.
Problem structured() {
  const AttentionShape shape{
      .query_heads = 4, .kv_heads = 2, .query_len = 128, .key_len = 1024, .head_dim = 128};
  const Visibility visibility = Visibility::causal(128, 1024);
  const auto scale = static_cast<float>(1 / std::sqrt(128.0));
  const QkvTensors made = structured_tensors({.contrast = 10}, shape, DType::kBFloat16, true, scale,
                                             visibility.positions(), Threads(2));
  return problem_of(shape, made.q, made.k, made.v);
}

// A channel in which all queries and keys are alike adds 1,000 to every logit, as the bias channels
// of trained models do.
Problem bias_channel() {
  const AttentionShape shape{
      .query_heads = 4, .kv_heads = 2, .query_len = 32, .key_len = 512, .head_dim = 64};
  const auto bias = static_cast<float>(std::sqrt(8 * 1000.0));
  const auto with_bias = [&](std::int64_t heads, std::int64_t length, unsigned seed, float factor) {
    const Tensor content = rules::normal_tensor(DType::kFloat32, 1, heads, length, 64, seed);
    std::vector<float> values;
    for (std::int64_t h = 0; h < heads; ++h) {
      for (std::int64_t i = 0; i < length; ++i) {
        const auto* row = static_cast<const float*>(content.view().row(0, h, i));
        values.push_back(bias);
        for (int d = 1; d < 64; ++d) values.push_back(factor * row[d]);
      }
    }
    return Tensor::from_floats(DType::kFloat32, 1, heads, length, 64, values.data());
  };
  return problem_of(shape, with_bias(4, 32, 1, 3), with_bias(2, 512, 2, 1),
                    rules::normal_tensor(DType::kFloat32, 1, 2, 512, 64, 3));
}

struct HardData {
  const char* name;
  Problem (*make)();
  double planted;  // by how much the weight of one key is wrong
  double least_condition;
};
std::ostream& operator<<(std::ostream& out, const HardData& data) { return out << data.name; }

class PlantedWeight : public testing::TestWithParam<HardData> {
 protected:
  OracleComparison judge(Walk walk, const Mask& computed) const {
    AttentionOutput output;
    attend(problem_.inputs, make_cpu_plan(computed, problem_.inputs.shape, walk, threads_),
           threads_, output);
    return compare_with_oracle(problem_.inputs, full_, output,
                               oracle_sample(problem_.inputs.shape, -1),
                               base_allowance(DType::kFloat32), threads_);
  }

  // The row and the key whose weight moves the row's output most: that nearest to one half.
  std::pair<std::int64_t, std::int64_t> heaviest() const {
    const AttentionInputs& in = problem_.inputs;
    const AttentionShape& shape = in.shape;
    double best = 0;
    std::pair<std::int64_t, std::int64_t> found;
    for (std::int64_t row = 0; row < shape.rows(); ++row) {
      const std::int64_t head = row / shape.query_len;
      const std::int64_t query = row % shape.query_len;
      const double lse = oracle_row(in, full_, 0, head, query).lse;
      std::vector<float> q(static_cast<std::size_t>(shape.head_dim));
      std::vector<float> k(q.size());
      in.q.load_row(0, head, query, q.data());
      for (std::int64_t key = 0; key < in.visibility.end(query); ++key) {
        in.k.load_row(0, shape.kv_head_of(head), key, k.data());
        double dot = 0;
        for (std::size_t d = 0; d < q.size(); ++d) dot += double{q[d]} * double{k[d]};
        const double weight = std::exp(double{in.scale} * dot - lse);
        if (weight * (1 - weight) <= best) continue;
        best = weight * (1 - weight);
        found = {row, key};
      }
    }
    return found;
  }

  // Every visible key, with the weight of that key too large by the given share: attention divides
  // a weight by its probability.
  Mask planted() const {
    const AttentionShape& shape = problem_.inputs.shape;
    std::vector<float> probabilities;
    for (std::int64_t row = 0; row < shape.rows(); ++row) {
      const std::int64_t end = full_.visibility().end(row % shape.query_len);
      for (std::int64_t key = 0; key < shape.key_len; ++key) {
        probabilities.push_back(key < end ? 1.0F : 0.0F);
      }
    }
    const auto [row, key] = heaviest();
    probabilities[static_cast<std::size_t>(row * shape.key_len + key)] =
        static_cast<float>(1 / (1 + GetParam().planted));
    return from_dense(full_.visibility(), {1, shape.query_heads}, probabilities);
  }

  Threads threads_{2};
  Problem problem_ = GetParam().make();
  Mask full_ = Mask::full(problem_.inputs.visibility);
};

TEST_P(PlantedWeight, FailsAndRightKernelsPass) {
  const Mask wrong = planted();
  for (const Walk walk : {Walk::kDense, Walk::kTiles, Walk::kRows}) {
    SCOPED_TRACE(name_of(walk));
    const OracleComparison right = judge(walk, full_);
    EXPECT_LE(right.quotient, 0.5);
    EXPECT_EQ(right.undecidable_rows, 0);
    EXPECT_GT(right.condition, GetParam().least_condition);
    const OracleComparison found = judge(walk, wrong);
    EXPECT_GT(found.quotient, 1);
    EXPECT_EQ(found.worst_row, heaviest().first);
  }
}

INSTANTIATE_TEST_SUITE_P(
    OnHardData,
    PlantedWeight,
    testing::Values(HardData{"gaussian", [] { return normal(DType::kFloat32); }, 1e-3, 10},
                    HardData{"gaussian_bfloat16", [] { return normal(DType::kBFloat16); }, 1e-3,
                             10},
                    HardData{"structured_contrast_10", structured, 1e-3, 50},
                    HardData{"bias_channel", bias_channel, 1e-2, 1000}),
    [](const auto& param_info) { return std::string(param_info.param.name); });

}  // namespace
}  // namespace maskerade
