#include "experiments/rules/random_problem.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <set>
#include <string>
#include <vector>

#include "experiments/rules/mask_rules.hpp"
#include "framework/mask/conversions.hpp"
#include "framework/mask/set_operations.hpp"
#include "tests/experiments/rules/expect_rule.hpp"

namespace maskerade::rules {

void PrintTo(DataKind kind, std::ostream* stream) { *stream << name_of(kind); }

namespace {

std::vector<float> numbers_of(const TensorView& view) {
  std::vector<float> numbers;
  std::vector<float> row(static_cast<std::size_t>(view.dim));
  for (std::int64_t b = 0; b < view.batch; ++b) {
    for (std::int64_t h = 0; h < view.heads; ++h) {
      for (std::int64_t i = 0; i < view.length; ++i) {
        view.load_row(b, h, i, row.data());
        numbers.insert(numbers.end(), row.begin(), row.end());
      }
    }
  }
  return numbers;
}

std::vector<float> row_of(const TensorView& view, std::int64_t index) {
  std::vector<float> row(static_cast<std::size_t>(view.dim));
  view.load_row(0, 0, index, row.data());
  return row;
}

RandomProblem of_kind(DataKind kind, DType dtype = DType::kFloat32) {
  return RandomProblem({.shape = {2, 4, 2, 5, 40, 16}, .dtype = dtype, .kind = kind, .seed = 3});
}

// A problem of each kind of data.
class KindOfData : public testing::TestWithParam<DataKind> {};

TEST_P(KindOfData, IsAFunctionOfItsSeed) {
  const ProblemSpec spec{.shape = {1, 2, 1, 3, 20, 8}, .kind = GetParam(), .seed = 7};
  ProblemSpec other = spec;
  other.seed = 8;
  for (const auto tensor : {&RandomProblem::q, &RandomProblem::k, &RandomProblem::v}) {
    const std::vector<float> first = numbers_of((RandomProblem(spec).*tensor).view());
    EXPECT_EQ(first, numbers_of((RandomProblem(spec).*tensor).view()));
    EXPECT_NE(first, numbers_of((RandomProblem(other).*tensor).view()));
  }
}

TEST_P(KindOfData, GivesValidInputsOfFiniteNumbersInEveryDType) {
  for (const DType dtype : {DType::kFloat32, DType::kFloat16, DType::kBFloat16}) {
    const RandomProblem problem = of_kind(GetParam(), dtype);
    EXPECT_NO_THROW(problem.inputs.validate());
    for (const TensorView& view : {problem.inputs.q, problem.inputs.k, problem.inputs.v}) {
      for (const float number : numbers_of(view)) EXPECT_TRUE(std::isfinite(number));
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Of,
                         KindOfData,
                         testing::ValuesIn(all_data_kinds().begin(), all_data_kinds().end()),
                         [](const auto& kind) { return std::string(name_of(kind.param)); });

TEST(RandomProblem, OfTiesHasEqualScores) {
  const RandomProblem problem = of_kind(DataKind::kTies);
  for (const float number : numbers_of(problem.inputs.k)) {
    EXPECT_EQ(number * 4, std::trunc(number * 4));
    EXPECT_LE(std::abs(number), 1.0F);
  }
}

TEST(RandomProblem, OfEqualKeysRepeatsEachKeyEightTimes) {
  const RandomProblem problem = of_kind(DataKind::kEqualKeys);
  EXPECT_EQ(row_of(problem.inputs.k, 0), row_of(problem.inputs.k, 7));
  EXPECT_NE(row_of(problem.inputs.k, 7), row_of(problem.inputs.k, 8));
  EXPECT_EQ(row_of(problem.inputs.k, 32), row_of(problem.inputs.k, 39));
}

TEST(RandomProblem, OfLargeLogitsHasLongQueries) {
  const std::vector<float> normal = numbers_of(of_kind(DataKind::kNormal).inputs.q);
  const std::vector<float> large = numbers_of(of_kind(DataKind::kLargeLogits).inputs.q);
  for (std::size_t i = 0; i < normal.size(); ++i) EXPECT_FLOAT_EQ(large[i], 40 * normal[i]);
}

TEST(RandomProblem, OfDenormalsHasThem) {
  const auto denormals = [](DType dtype, float least_normal) {
    std::size_t count = 0;
    for (const float number : numbers_of(of_kind(DataKind::kDenormals, dtype).inputs.v)) {
      count += number != 0 && std::abs(number) < least_normal ? 1 : 0;
    }
    return count;
  };
  EXPECT_GT(denormals(DType::kFloat32, 0x1p-126F), 500U);
  EXPECT_GT(denormals(DType::kBFloat16, 0x1p-126F), 500U);
  EXPECT_GT(denormals(DType::kFloat16, 0x1p-14F), 500U);
}

TEST(RandomProblem, OfCancellingValuesHasOppositePairs) {
  const RandomProblem problem = of_kind(DataKind::kCancellingValues);
  std::vector<float> sum = row_of(problem.inputs.v, 6);
  const std::vector<float> opposite = row_of(problem.inputs.v, 7);
  for (std::size_t d = 0; d < sum.size(); ++d) EXPECT_EQ(sum[d] + opposite[d], 0.0F);
}

TEST(DrawProblem, GivesEveryKindDTypeAndGroupAndTheSameForASeed) {
  std::set<DataKind> kinds;
  std::set<DType> dtypes;
  std::set<std::int64_t> groups;
  std::set<bool> causal;
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    const ProblemSpec spec = draw_problem(seed);
    EXPECT_NO_THROW(spec.shape.validate());
    EXPECT_EQ(to_string(spec), to_string(draw_problem(seed)));
    EXPECT_TRUE(!spec.causal || spec.shape.query_len <= spec.shape.key_len);
    kinds.insert(spec.kind);
    dtypes.insert(spec.dtype);
    groups.insert(spec.shape.group_size());
    causal.insert(spec.causal);
  }
  EXPECT_EQ(kinds.size(), all_data_kinds().size());
  EXPECT_EQ(dtypes.size(), 3U);
  EXPECT_EQ(groups, (std::set<std::int64_t>{1, 3, 4, 8}));
  EXPECT_EQ(causal.size(), 2U);
}

TEST(ProblemSpec, SaysWhatItIs) {
  EXPECT_EQ(to_string(ProblemSpec{.shape = {1, 8, 1, 3, 101, 16},
                                  .dtype = DType::kBFloat16,
                                  .causal = true,
                                  .kind = DataKind::kTies,
                                  .seed = 5}),
            "(1, 8, 1, 3, 101, 16) bfloat16 causal ties seed 5");
}

TEST(EdgeShapes, HoldOneKeyOneQueryRaggedLengthsAndEveryGroup) {
  std::set<std::int64_t> groups;
  bool has_one_key = false;
  bool has_one_query = false;
  bool has_ragged_keys = false;
  for (const AttentionShape& shape : edge_shapes(8)) {
    EXPECT_NO_THROW(shape.validate());
    groups.insert(shape.group_size());
    has_one_key = has_one_key || shape.key_len == 1;
    has_one_query = has_one_query || (shape.query_len == 1 && shape.key_len > 64);
    has_ragged_keys = has_ragged_keys || (shape.key_len > 64 && shape.key_len % 64 != 0);
  }
  EXPECT_TRUE(groups.contains(1) && groups.contains(3) && groups.contains(8));
  EXPECT_TRUE(has_one_key && has_one_query && has_ragged_keys);
}

TEST(RandomMask, HasWholeTilesEmptyRowsAndSampledEntries) {
  const Visibility visibility = Visibility::causal(100, 300);
  const Mask mask = random_mask(visibility, {2, 3}, {.sampled = true}, 4);
  EXPECT_EQ(mask, random_mask(visibility, {2, 3}, {.sampled = true}, 4));
  EXPECT_TRUE(holds(check_canonical_form(mask)));
  const MaskCounts counts = count(mask);
  EXPECT_GT(counts.empty_rows, 0);
  EXPECT_GT(counts.sampled_entries, 0);
  EXPECT_EQ(count(random_mask(visibility, {2, 3}, {}, 4)).sampled_entries, 0);
  EXPECT_EQ(random_mask(visibility, {}, {.tiles = 1, .empty = 0}, 1), Mask::full(visibility));
}

TEST(RandomWeights, AreZeroWhereHidden) {
  std::mt19937_64 engine(2);
  bool is_causal = false;
  for (int trial = 0; trial < 20; ++trial) {
    const Visibility visibility = random_visibility(70, 130, engine);
    is_causal = is_causal || visibility.is_causal();
    const std::vector<float> weights =
        random_weights(visibility, {1, 2}, MaskKind::kSampled, engine);
    for (std::size_t i = 0; i < weights.size(); ++i) {
      const auto query = static_cast<std::int64_t>(i) / 130 % 70;
      const bool is_hidden = static_cast<std::int64_t>(i % 130) >= visibility.end(query);
      EXPECT_TRUE(!is_hidden || weights[i] == 0);
    }
  }
  EXPECT_TRUE(is_causal);
}

}  // namespace
}  // namespace maskerade::rules
