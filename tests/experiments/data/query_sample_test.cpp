#include "experiments/data/query_sample.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <numeric>
#include <vector>

#include "experiments/sources/gaussian.hpp"

namespace maskerade {
namespace {

using Rows = std::vector<std::int64_t>;

RC_GTEST_PROP(QuerySample, RowsAreSortedDifferentAndNested, ()) {
  const auto seed = *rc::gen::arbitrary<std::uint64_t>();
  const auto length = *rc::gen::inRange<std::int64_t>(1, 200);
  const auto count = *rc::gen::inRange<std::int64_t>(1, 250);
  const Rows rows = sample_query_rows(seed, length, count);
  RC_ASSERT(static_cast<std::int64_t>(rows.size()) == std::min(count, length));
  RC_ASSERT(std::adjacent_find(rows.begin(), rows.end(), std::greater_equal<>()) == rows.end());
  RC_ASSERT(rows.front() >= 0 && rows.back() < length);
  const Rows more = sample_query_rows(seed, length, count + 1);
  RC_ASSERT(std::includes(more.begin(), more.end(), rows.begin(), rows.end()));
}

TEST(QuerySample, AllRowsAreKeptWhenThereAreNotMore) {
  EXPECT_EQ(sample_query_rows(3, 4, 4), (Rows{0, 1, 2, 3}));
  EXPECT_EQ(sample_query_rows(3, 1, 64), Rows{0});
}

TEST(QuerySample, ADrawIsThatOfItsSeed) {
  EXPECT_EQ(sample_query_rows(1, 1000, 5), sample_query_rows(1, 1000, 5));
  EXPECT_NE(sample_query_rows(1, 1000, 5), sample_query_rows(2, 1000, 5));
}

// The number of draws of each row is binomial (4000, 1/4), with a standard deviation of 27: at 5.6
// of them the family of 40 rows has an alpha of 1e-6.
TEST(QuerySample, EveryRowIsEquallyLikely) {
  std::vector<int> counts(40);
  for (std::uint64_t seed = 0; seed < 4000; ++seed) {
    for (const std::int64_t row : sample_query_rows(seed, 40, 10)) {
      ++counts[static_cast<std::size_t>(row)];
    }
  }
  for (const int count : counts) EXPECT_NEAR(count, 1000, 5.6 * 27.4);
}

TEST(QuerySample, GatheredRowsAreCopiesOfThoseRows) {
  const Tensor tensor = gaussian_tensor(1, GaussianTensor::kQuery, DType::kBFloat16, 2, 3, 20, 8);
  const Rows rows = {0, 7, 19};
  const Tensor gathered = gather_rows(tensor.view(), rows);
  EXPECT_EQ(gathered.view().length, 3);
  const Tensor generated =
      gaussian_rows(1, GaussianTensor::kQuery, DType::kBFloat16, 2, 3, rows, 8);
  for (std::int64_t b = 0; b < 2; ++b) {
    for (std::int64_t h = 0; h < 3; ++h) {
      for (std::size_t i = 0; i < rows.size(); ++i) {
        for (std::size_t d = 0; d < 8; ++d) {
          const float expected = load_float(DType::kBFloat16, tensor.view().row(b, h, rows[i]), d);
          const auto row = static_cast<std::int64_t>(i);
          EXPECT_EQ(load_float(DType::kBFloat16, gathered.view().row(b, h, row), d), expected);
          EXPECT_EQ(load_float(DType::kBFloat16, generated.view().row(b, h, row), d), expected);
        }
      }
    }
  }
}

}  // namespace
}  // namespace maskerade
