#include "framework/base/quantile.hpp"

#include <gtest/gtest.h>

#include <vector>

namespace maskerade {
namespace {

TEST(Quantile, OfCopiesIsThatOfTheLargerSample) {
  const std::vector<double> samples = {5, 1, 4, 2, 9, 7};
  for (const std::int64_t copies : {1, 2, 3, 7}) {
    std::vector<double> all;
    for (std::int64_t copy = 0; copy < copies; ++copy) {
      all.insert(all.end(), samples.begin(), samples.end());
    }
    for (const double q : {0.0, 0.05, 0.2, 0.5, 0.77, 0.95, 1.0}) {
      std::vector<double> own = samples;
      EXPECT_EQ(quantile_in_place(own, copies, q), quantile_in_place(all, q))
          << copies << " copies, q " << q;
    }
  }
}

}  // namespace
}  // namespace maskerade
