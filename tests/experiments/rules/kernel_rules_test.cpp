#include "experiments/rules/kernel_rules.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "attention/reference/oracle.hpp"
#include "experiments/rules/random_problem.hpp"
#include "framework/mask/conversions.hpp"
#include "tests/experiments/rules/expect_rule.hpp"

namespace maskerade::rules {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr const char* kOracleRule = "a kernel agrees with the float64 oracle";
constexpr const char* kMergeRule = "merged parts are the whole";
constexpr const char* kSameRule = "the output is the same bit by bit";

// The oracle as a kernel.
AttentionOutput attend_exactly(const AttentionInputs& inputs, const Mask& mask) {
  const AttentionShape& shape = inputs.shape;
  AttentionOutput output;
  for (std::int64_t b = 0; b < shape.batch; ++b) {
    for (std::int64_t h = 0; h < shape.query_heads; ++h) {
      for (std::int64_t i = 0; i < shape.query_len; ++i) {
        const OracleRow row = oracle_row(inputs, mask, b, h, i);
        for (const double number : row.out) output.out.push_back(static_cast<float>(number));
        output.lse.push_back(static_cast<float>(row.lse));
      }
    }
  }
  return output;
}

class KernelRules : public testing::Test {
 protected:
  const AttentionInputs& inputs() const { return problem_.inputs; }
  Violations check(const AttendFunction& attend) const {
    return check_against_oracle(inputs(), mask_, attend);
  }
  Violations check_merge(const AttendFunction& attend) const {
    const std::int64_t borders[] = {1, 40, 64, 100};
    return check_merge_of_parts(inputs(), mask_, attend, borders);
  }
  // The output of the oracle, changed.
  template <typename Change>
  static AttendFunction changed(Change change) {
    return [change](const AttentionInputs& inputs, const Mask& mask) {
      AttentionOutput output = attend_exactly(inputs, mask);
      change(output);
      return output;
    };
  }
  // The first row without active keys, and the first with one.
  std::size_t row_where(bool is_empty) const {
    const AttentionOutput exact = attend_exactly(inputs(), mask_);
    std::size_t row = 0;
    while ((exact.lse[row] == -kInfinity) != is_empty) ++row;
    return row;
  }

  RandomProblem problem_{AttentionShape{2, 4, 2, 10, 120, 8}, DType::kBFloat16, true, 1};
  Mask mask_ = random_mask(problem_.inputs.visibility, {2, 4}, {.sampled = true}, 2);
};

TEST_F(KernelRules, HoldOfTheOracle) {
  EXPECT_TRUE(holds(check(attend_exactly)));
  EXPECT_TRUE(holds(check_merge(attend_exactly)));
  EXPECT_TRUE(holds(check_output_is_repeatable(
      inputs(), mask_,
      [](const AttentionInputs& in, const Mask& mask, int) { return attend_exactly(in, mask); })));
}

TEST_F(KernelRules, GiveTheLargestErrors) {
  AttentionOutput output = attend_exactly(inputs(), mask_);
  LargestErrors errors;
  check_output(inputs(), mask_, output, base_allowance(DType::kFloat32), &errors);
  EXPECT_LT(errors.out, 1e-6);
  EXPECT_LT(errors.lse, 1e-6);
  output.lse[row_where(false)] += 0.5F;
  check_output(inputs(), mask_, output, base_allowance(DType::kFloat32), &errors);
  EXPECT_GT(errors.lse, 0.05);
}

TEST_F(KernelRules, FindADroppedKey) {
  const std::size_t row = row_where(false);
  const Violations found = check([&](const AttentionInputs& in, const Mask& mask) {
    std::vector<float> weights = to_dense(mask);
    float* first = weights.data() + row * 120;
    while (*first == 0) ++first;
    *first = 0;
    return attend_exactly(in, from_dense(mask.visibility(), mask.extent(), weights));
  });
  ASSERT_TRUE(finds(found, kOracleRule));
  EXPECT_EQ(found.front().where.query, static_cast<std::int64_t>(row) % 10);
}

TEST_F(KernelRules, FindProbabilitiesThatAreIgnored) {
  EXPECT_TRUE(finds(check([](const AttentionInputs& in, const Mask& mask) {
                      std::vector<float> weights = to_dense(mask);
                      for (float& weight : weights) weight = weight > 0 ? 1.0F : 0.0F;
                      return attend_exactly(in,
                                            from_dense(mask.visibility(), mask.extent(), weights));
                    }),
                    kOracleRule));
}

TEST_F(KernelRules, FindAWrongLseBesideARightOutput) {
  const Violations found =
      check(changed([row = row_where(false)](AttentionOutput& o) { o.lse[row] += 0.25F; }));
  ASSERT_EQ(found.size(), 1U);
  EXPECT_NE(found.front().finding.find(": an error of 0."), std::string::npos)
      << found.front().finding;
}

TEST_F(KernelRules, FindNaN) {
  constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();
  const std::size_t row = row_where(false);
  EXPECT_EQ(check(changed([&](AttentionOutput& o) { o.out[row * 8 + 3] = kNaN; })).size(), 1U);
  EXPECT_EQ(check(changed([&](AttentionOutput& o) { o.lse[row] = kNaN; })).size(), 1U);
  const std::size_t empty = row_where(true);
  EXPECT_EQ(check(changed([&](AttentionOutput& o) { o.out[empty * 8 + 3] = kNaN; })).size(), 1U);
  EXPECT_EQ(check(changed([&](AttentionOutput& o) { o.lse[empty] = kNaN; })).size(), 1U);
}

TEST_F(KernelRules, FindARowWithoutKeysThatIsNotZero) {
  const std::size_t empty = row_where(true);
  EXPECT_TRUE(
      finds(check(changed([&](AttentionOutput& o) { o.out[empty * 8] = 1e-30F; })), kOracleRule));
  EXPECT_TRUE(
      finds(check(changed([&](AttentionOutput& o) { o.lse[empty] = -1e30F; })), kOracleRule));
}

TEST_F(KernelRules, FindAnOutputOfAnotherShape) {
  const auto shorter = changed([](AttentionOutput& o) { o.lse.pop_back(); });
  EXPECT_TRUE(finds(check(shorter), kOracleRule));
  EXPECT_TRUE(finds(check_merge(shorter), kMergeRule));
}

TEST_F(KernelRules, FindPartsThatDoNotMerge) {
  EXPECT_TRUE(finds(check_merge(changed([](AttentionOutput& o) {
                      for (float& lse : o.lse) lse /= std::log(2.0F);  // the other base
                    })),
                    kMergeRule));
  // A part without keys that says that it has some.
  EXPECT_TRUE(finds(check_merge(changed([](AttentionOutput& o) {
                      for (float& lse : o.lse) lse = std::max(lse, 0.0F);
                    })),
                    kMergeRule));
}

TEST_F(KernelRules, FindOneBitThatFollowsTheThreads) {
  const auto attend = [](const AttentionInputs& in, const Mask& mask, int threads) {
    AttentionOutput output = attend_exactly(in, mask);
    if (threads == 3) output.lse.back() = std::nextafter(output.lse.back(), kInfinity);
    return output;
  };
  EXPECT_TRUE(finds(check_output_is_repeatable(inputs(), mask_, attend), kSameRule));
}

TEST_F(KernelRules, FindOneBitThatDiffers) {
  const AttentionOutput exact = attend_exactly(inputs(), mask_);
  EXPECT_TRUE(holds(check_same_output(exact, exact, inputs().shape)));
  AttentionOutput other = exact;
  other.out.back() = std::nextafter(other.out.back(), kInfinity);
  const Violations found = check_same_output(other, exact, inputs().shape);
  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(found.front().where, (EntryLocation{1, 3, 9}));
}

TEST_F(KernelRules, TakeNaNsOfAnyPayloadAsTheSame) {
  AttentionOutput one = attend_exactly(inputs(), mask_);
  one.out.front() = std::numeric_limits<float>::quiet_NaN();
  AttentionOutput other = one;
  other.out.front() = -other.out.front();
  EXPECT_TRUE(holds(check_same_output(one, other, inputs().shape)));
  other.out.front() = 0;
  EXPECT_TRUE(finds(check_same_output(one, other, inputs().shape), kSameRule));
}

}  // namespace
}  // namespace maskerade::rules
