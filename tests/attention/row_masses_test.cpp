#include "attention/reference/row_masses.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "attention/reference/oracle.hpp"
#include "experiments/rules/random_problem.hpp"
#include "framework/mask/set_operations.hpp"

namespace maskerade {
namespace {

using rules::random_mask;
using rules::RandomProblem;

// Expects `masses` to be the oracle's lse of attention over `mask`, in every row.
void expect_lse(const AttentionInputs& inputs,
                const Mask& mask,
                const std::vector<double>& masses,
                const char* what) {
  const AttentionShape& shape = inputs.shape;
  ASSERT_EQ(masses.size(), static_cast<std::size_t>(shape.rows()));
  for (std::int64_t row = 0; row < shape.rows(); ++row) {
    const std::int64_t head = row / shape.query_len;
    const double lse = oracle_row(inputs, mask, head / shape.query_heads, head % shape.query_heads,
                                  row % shape.query_len)
                           .lse;
    const double mass = masses[static_cast<std::size_t>(row)];
    if (std::isinf(lse)) {
      EXPECT_EQ(mass, lse) << what << ", row " << row;
    } else {
      EXPECT_NEAR(mass, lse, 1e-11 * std::max(1.0, std::abs(lse))) << what << ", row " << row;
    }
  }
}

void expect_masses(const RandomProblem& problem, const Mask& mask) {
  const RowMasses masses = row_masses(problem.inputs, mask, Threads(2));
  expect_lse(problem.inputs, deterministic_part(mask), masses.certain, "certain");
  expect_lse(problem.inputs, support_of(mask), masses.support, "support");
  expect_lse(problem.inputs, mask, masses.weighted, "weighted");
}

// Dense tiles are multiplied as a whole, scattered keys one by one; both are in these masks.
TEST(RowMasses, AreTheOraclesSums) {
  for (const DType dtype : {DType::kFloat32, DType::kFloat16, DType::kBFloat16}) {
    const RandomProblem problem(AttentionShape{2, 6, 2, 70, 150, 20}, dtype, true, 1);
    for (const MaskExtent extent : {MaskExtent{1, 1}, MaskExtent{2, 2}, MaskExtent{1, 6}}) {
      expect_masses(problem, random_mask(problem.inputs.visibility, extent,
                                         {.tiles = 0.5, .keys = 0.02, .sampled = true}, 2));
    }
    expect_masses(problem, Mask::full(problem.inputs.visibility));
    expect_masses(problem, Mask::empty(problem.inputs.visibility));
  }
}

TEST(RowMasses, OfOneQueryAreTheOraclesSums) {
  const RandomProblem problem(AttentionShape{1, 8, 1, 1, 333, 64}, DType::kBFloat16, true, 3);
  expect_masses(problem, Mask::full(problem.inputs.visibility));
  expect_masses(problem, random_mask(problem.inputs.visibility, {1, 8}, {.sampled = true}, 4));
}

TEST(RowMasses, KeepTheirDigitsWhereLogitsAreHuge) {
  const rules::ProblemSpec spec{.shape = {1, 2, 1, 65, 130, 64},
                                .causal = true,
                                .kind = rules::DataKind::kLargeLogits,
                                .seed = 5};
  expect_masses(RandomProblem(spec), Mask::full(RandomProblem(spec).inputs.visibility));
}

TEST(RowMasses, AreTheSameForAnyNumberOfThreads) {
  const RandomProblem problem(AttentionShape{2, 4, 2, 130, 200, 32}, DType::kFloat32, true, 6);
  const Mask mask = random_mask(problem.inputs.visibility, {2, 4}, {.sampled = true}, 7);
  const RowMasses one = row_masses(problem.inputs, mask, Threads(1));
  const RowMasses three = row_masses(problem.inputs, mask, Threads(3));
  EXPECT_EQ(one.certain, three.certain);
  EXPECT_EQ(one.support, three.support);
  EXPECT_EQ(one.weighted, three.weighted);
}

}  // namespace
}  // namespace maskerade
