#include "experiments/measure/oracle_check.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "attention/cpu/attend.hpp"
#include "attention/cpu/cpu_plan.hpp"
#include "attention/reference/row_judgement.hpp"

namespace maskerade {
namespace {

const AttentionShape kShape{
    .batch = 2, .query_heads = 3, .kv_heads = 1, .query_len = 5, .key_len = 9, .head_dim = 2};

TEST(OracleSample, HoldsAllRowsWhenAskedForAllOrMore) {
  for (const std::int64_t count : {-1, 30, 1000}) {
    const std::vector<std::int64_t> rows = oracle_sample(kShape, count);
    ASSERT_EQ(rows.size(), 30U);
    EXPECT_EQ(rows.front(), 0);
    EXPECT_EQ(rows.back(), 29);
  }
}

TEST(OracleSample, OfZeroRowsIsEmpty) { EXPECT_TRUE(oracle_sample(kShape, 0).empty()); }

TEST(OracleSample, IsAscendingDistinctAndHoldsEverySmallerSample) {
  std::vector<std::int64_t> smaller;
  for (std::int64_t count = 1; count <= 30; ++count) {
    const std::vector<std::int64_t> rows = oracle_sample(kShape, count);
    ASSERT_EQ(static_cast<std::int64_t>(rows.size()), count);
    EXPECT_TRUE(std::is_sorted(rows.begin(), rows.end()));
    EXPECT_EQ(std::adjacent_find(rows.begin(), rows.end()), rows.end());
    EXPECT_TRUE(std::includes(rows.begin(), rows.end(), smaller.begin(), smaller.end()));
    smaller = rows;
  }
}

TEST(OracleSample, ReachesEveryHead) {
  const AttentionShape shape{.query_heads = 8, .query_len = 512, .key_len = 512};
  std::vector<int> by_head(8);
  for (const std::int64_t row : oracle_sample(shape, 256)) {
    ++by_head[static_cast<std::size_t>(row / 512)];
  }
  // The rows of a head are hypergeometric with mean 32 and standard deviation 5.1; 26 is five of
  // them.
  for (const int rows : by_head) EXPECT_NEAR(rows, 32, 26);
}

TEST(OracleSample, NamesRowsByBatchHeadAndQuery) {
  EXPECT_EQ(describe_row(kShape, 0), "batch 0, head 0, query 0");
  EXPECT_EQ(describe_row(kShape, 29), "batch 1, head 2, query 4");
}

constexpr double kBase = base_allowance(DType::kFloat32);

class OracleCheck : public testing::Test {
 protected:
  OracleCheck() {
    const std::vector<float> q(60, 0.0F);  // every key has the same weight
    std::vector<float> v(36);
    for (std::size_t i = 0; i < v.size(); ++i) v[i] = static_cast<float>(i % 7);
    q_ = Tensor::from_floats(DType::kFloat32, 2, 3, 5, 2, q.data());
    k_ = Tensor::from_floats(DType::kFloat32, 2, 1, 9, 2, v.data());
    v_ = Tensor::from_floats(DType::kFloat32, 2, 1, 9, 2, v.data());
    attend(inputs(), make_cpu_plan(mask_, kShape, Walk::kDense, threads_), threads_, output_);
  }
  AttentionInputs inputs() const {
    return {kShape, q_.view(), k_.view(), v_.view(), 1.0F, mask_.visibility(), 0};
  }
  OracleComparison check(std::int64_t count) const {
    return compare_with_oracle(inputs(), mask_, output_, oracle_sample(kShape, count), kBase,
                               threads_);
  }

  Threads threads_{2};
  Tensor q_, k_, v_;
  Mask mask_ = Mask::full(Visibility::all(5, 9));
  AttentionOutput output_;
};

TEST_F(OracleCheck, FindsACorrectKernelCorrect) {
  const OracleComparison compared = check(-1);
  EXPECT_EQ(compared.rows, 30);
  EXPECT_EQ(compared.undecidable_rows, 0);
  EXPECT_LT(compared.error, 1e-6);
  EXPECT_LT(compared.quotient, 0.1);
  EXPECT_DOUBLE_EQ(compared.quotient, compared.worst_error / compared.worst_allowance);
  EXPECT_EQ(compared.condition, 1);  // all logits are 0, and no value is negative
}

TEST_F(OracleCheck, FindsAPlantedErrorAndItsRow) {
  output_.out[17 * 2] += 0.5F;
  const OracleComparison compared = check(-1);
  EXPECT_GT(compared.error, 0.05);
  EXPECT_EQ(compared.worst_error, compared.error);
  EXPECT_GT(compared.quotient, 1000);
  EXPECT_EQ(compared.worst_row, 17);
}

TEST_F(OracleCheck, FindsAWrongLseBesideARightOutput) {
  output_.lse[11] += 1e-3F;
  const OracleComparison compared = check(-1);
  EXPECT_NEAR(compared.error, 1e-3 / std::log(9.0), 1e-6);
  EXPECT_EQ(compared.worst_allowance, kBase);  // of an lse whose logits are 0
  EXPECT_EQ(compared.worst_row, 11);
  output_.lse[11] = -std::numeric_limits<float>::infinity();
  EXPECT_EQ(check(-1).quotient, std::numeric_limits<double>::infinity());
}

TEST_F(OracleCheck, FindsNaN) {
  output_.out[4 * 2 + 1] = std::numeric_limits<float>::quiet_NaN();
  EXPECT_EQ(check(-1).quotient, std::numeric_limits<double>::infinity());
}

TEST_F(OracleCheck, OfNoRowsIsZero) {
  EXPECT_EQ(check(0).rows, 0);
  EXPECT_EQ(check(0).quotient, 0);
}

}  // namespace
}  // namespace maskerade
