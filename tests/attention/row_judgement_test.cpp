#include "attention/reference/row_judgement.hpp"

#include <gtest/gtest.h>

#include <limits>

namespace maskerade {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();
constexpr double kRoundoff = 1.0 / (1 << 24);

OracleRow row(std::vector<double> out, double lse, double logit_condition, double cancellation) {
  return {std::move(out), lse, logit_condition, cancellation};
}

TEST(RowJudgement, ErrorOfOutIsRelativeToTheLargestOutput) {
  const OracleRow oracle = row({1.0, -4.0}, 0, 0, 1);
  const float exact[] = {1.0F, -4.0F};
  const float off[] = {1.5F, -4.0F};
  const float broken[] = {1.0F, kNaN};
  EXPECT_EQ(out_error(oracle, exact), 0.0);
  EXPECT_EQ(out_error(oracle, off), 0.125);
  EXPECT_EQ(out_error(oracle, broken), kInfinity);
  EXPECT_EQ(out_error(row({0.0, 0.0}, 0, 0, 1), off), 4.0);
}

TEST(RowJudgement, ErrorOfLseIsRelativeFromOneOn) {
  EXPECT_EQ(lse_error(row({0}, 0.25, 0, 1), 0.5F), 0.25);
  EXPECT_EQ(lse_error(row({0}, -8, 0, 1), -6.0F), 0.25);
  EXPECT_EQ(lse_error(row({0}, 1, 0, 1), kNaN), kInfinity);
  const float nothing = -std::numeric_limits<float>::infinity();
  EXPECT_EQ(lse_error(row({0}, -kInfinity, 0, 1), nothing), 0);
  EXPECT_EQ(lse_error(row({0}, 1, 0, 1), nothing), kInfinity);
  EXPECT_EQ(lse_error(row({0}, -kInfinity, 0, 1), 1.0F), kInfinity);
}

TEST(RowJudgement, AllowanceIsTheBaseAndWhatTheDataAmplifiesRoundingTo) {
  const OracleRow oracle = row({1}, 0, 30, 4);
  const RowAllowance allowance = row_allowance(oracle, 1e-5);
  EXPECT_DOUBLE_EQ(allowance.out, 1e-5 + 16 * kRoundoff * 31 * 4);
  EXPECT_DOUBLE_EQ(allowance.lse, 1e-5 + 16 * kRoundoff * 30);
  EXPECT_EQ(row_condition(oracle), 31 * 4);
}

TEST(RowJudgement, BaseFollowsTheArithmetic) {
  EXPECT_EQ(base_allowance(DType::kFloat32), 1e-5);
  EXPECT_EQ(base_allowance(DType::kFloat16), 2e-3);
  EXPECT_EQ(base_allowance(DType::kBFloat16), 1e-2);
}

TEST(RowJudgement, IsThatOfTheLargerQuotient) {
  const OracleRow oracle = row({1}, 1, 0, 1);
  const double allowance = row_allowance(oracle, 1e-2).out;
  const float right[] = {1};
  const float off[] = {1.5F};
  const RowJudgement of_lse = judge_row(oracle, 1e-2, right, 1.25F);
  EXPECT_EQ(of_lse.error, 0.25);
  EXPECT_EQ(of_lse.allowance, 1e-2);
  EXPECT_EQ(of_lse.quotient(), 25);
  const RowJudgement of_out = judge_row(oracle, 1e-2, off, 1.25F);
  EXPECT_EQ(of_out.error, 0.5);
  EXPECT_DOUBLE_EQ(of_out.quotient(), 0.5 / allowance);
}

TEST(RowJudgement, AllowancesAboveTheWidestDecideNothing) {
  const float right[] = {1};
  EXPECT_TRUE(judge_row(row({1}, 1, 50000, 1), 1e-5, right, 1).is_decidable);
  EXPECT_FALSE(judge_row(row({1}, 1, 60000, 1), 1e-5, right, 1).is_decidable);
  EXPECT_FALSE(judge_row(row({1}, 1, 0, kInfinity), 1e-5, right, 1).is_decidable);
}

TEST(RowJudgement, NoConditionExcusesWhatIsInfinitelyWrong) {
  const float broken[] = {kNaN};
  EXPECT_EQ(judge_row(row({1}, 1, 0, kInfinity), 1e-5, broken, 1).quotient(), kInfinity);
}

}  // namespace
}  // namespace maskerade
