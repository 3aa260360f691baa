// What a sampler's draws estimate, over many seeds, against the exact sums.
#pragma once

#include <algorithm>
#include <cmath>
#include <sstream>
#include <vector>

#include "tests/maskers/masker_problem.hpp"
#include "tests/statistics/statistics.hpp"

namespace maskerade {

inline constexpr std::int64_t kSeeds = 4000;
inline constexpr double kPlanted = 1.1;  // the error of a twin: 10 %

// The probabilities that a statistical test found: right is one of `family` of the same test, and
// the twin's planted error must be seen. Both are kept with the test's result.
inline void expect_found(double right, double twin, std::size_t family = 1) {
  const double alpha = statistics::kFamilyAlpha / static_cast<double>(family);
  const auto text = [](double p) { return (std::ostringstream() << p).str(); };
  testing::Test::RecordProperty("p_value", text(right));
  testing::Test::RecordProperty("twin_p_value", text(twin));
  EXPECT_GT(right, alpha);
  EXPECT_LT(twin, alpha);
}

// Calls visit(weights) with the dense probabilities [batch, heads, query_len, key_len] of the mask
// of each of `seeds` seeds.
template <typename Visit>
void for_each_seed(const std::vector<MaskerUse>& maskers,
                   const MaskerProblem& problem,
                   std::int64_t seeds,
                   Visit&& visit) {
  const MaskExtent extent{problem.shape().batch, problem.shape().query_heads};
  for (std::int64_t seed = 0; seed < seeds; ++seed) {
    const Mask mask = run(maskers, problem, {.seed = static_cast<std::uint64_t>(seed)}).mask;
    visit(to_dense(mask.extent() == extent ? mask : broadcast(mask, extent)));
  }
}

// exp(logit - the row's largest) of every row and key, 0 where hidden.
inline std::vector<double> exact_weights(const MaskerProblem& problem) {
  const AttentionShape& shape = problem.shape();
  std::vector<double> weights(static_cast<std::size_t>(shape.rows() * shape.key_len));
  for (std::int64_t row = 0; row < shape.rows(); ++row) {
    const std::int64_t head = row / shape.query_len;
    const std::vector<double> logits =
        problem.logits(head / shape.query_heads, head % shape.query_heads, row % shape.query_len);
    const double top = *std::max_element(logits.begin(), logits.end());
    for (std::size_t key = 0; key < logits.size(); ++key) {
      weights[static_cast<std::size_t>(row * shape.key_len) + key] = std::exp(logits[key] - top);
    }
  }
  return weights;
}

// The rows' sums of weights (the denominator, first) and of weighted values (the numerator), of
// keys weighed by 1 / p: sums[row * (head_dim + 1) + ...]. probabilities: per row and key, 0 for
// what is left out.
inline std::vector<double> attention_sums(const MaskerProblem& problem,
                                          const std::vector<double>& weights,
                                          const std::vector<float>& probabilities,
                                          double planted = 1) {
  const AttentionShape& shape = problem.shape();
  const auto key_len = static_cast<std::size_t>(shape.key_len);
  const auto width = static_cast<std::size_t>(shape.head_dim) + 1;
  std::vector<double> sums(static_cast<std::size_t>(shape.rows()) * width);
  std::vector<float> value(width - 1);
  for (std::size_t i = 0; i < weights.size(); ++i) {
    const double p = double{probabilities[i]};
    if (p == 0) continue;
    const double weight = weights[i] / (p < 1 ? p * planted : p);
    const auto head = static_cast<std::int64_t>(i / key_len) / shape.query_len;
    problem.inputs().v.load_row(head / shape.query_heads,
                                shape.kv_head_of(head % shape.query_heads),
                                static_cast<std::int64_t>(i % key_len), value.data());
    double* row = &sums[i / key_len * width];
    row[0] += weight;
    for (std::size_t d = 0; d + 1 < width; ++d) row[d + 1] += weight * double{value[d]};
  }
  return sums;
}

// The means of the estimated denominators and numerators of all rows are the exact ones (Student's
// t of each, Bonferroni). The twin's sampled entries state a probability 10 % too high.
inline void expect_unbiased(const std::vector<MaskerUse>& maskers, const MaskerProblem& problem) {
  const std::vector<double> weights = exact_weights(problem);
  const std::vector<double> exact =
      attention_sums(problem, weights, std::vector<float>(weights.size(), 1.0F));
  std::vector<statistics::Moments> right(exact.size());
  std::vector<statistics::Moments> twin(exact.size());
  for_each_seed(maskers, problem, kSeeds, [&](const std::vector<float>& probabilities) {
    const auto add = [&](double planted, std::vector<statistics::Moments>& moments) {
      const std::vector<double> sums = attention_sums(problem, weights, probabilities, planted);
      for (std::size_t i = 0; i < sums.size(); ++i) moments[i].add(sums[i]);
    };
    add(1, right);
    add(kPlanted, twin);
  });
  expect_found(statistics::means_p_value(right, exact), statistics::means_p_value(twin, exact));
}

}  // namespace maskerade
