#include "experiments/measure/machine_peaks.hpp"

#include <gtest/gtest.h>

#include <vector>

#include "framework/base/stopwatch.hpp"

namespace maskerade {
namespace {

// The flops per second of a plain loop of multiply-adds, which the compiler may vectorize.
double plain_flops_per_second() {
  std::vector<float> x(256, 1.0F);
  constexpr int kRounds = 100'000;
  const Stopwatch stopwatch;
  for (int round = 0; round < kRounds; ++round) {
    for (float& value : x) value = value * 0.5F + 1.0F;
  }
  const double seconds = stopwatch.elapsed_ms() / 1000;
  EXPECT_FLOAT_EQ(x.front(), 2.0F);
  return 2.0 * kRounds * static_cast<double>(x.size()) / seconds;
}

TEST(MachinePeaks, ArithmeticIsAboveThatOfAPlainLoop) {
  EXPECT_GT(measure_flops_per_second(Threads(1)), plain_flops_per_second());
}

TEST(MachinePeaks, AreTheLargerOfVectorsAndTilesByTheirProducts) {
  const MachinePeaks peaks{
      .flops_per_second = 200, .read_bytes_per_second = 1, .matrix_flops_per_second = 1500};
  EXPECT_EQ(peaks.flops_with(0), 200);
  EXPECT_EQ(peaks.flops_with(1.5), 1000);
  EXPECT_EQ(peaks.flops_with(10), 200);
}

TEST(MachinePeaks, ReadsArePositiveAndFewerThanFlops) {
  const MachinePeaks peaks = measure_peaks(Threads(2));
  EXPECT_GT(peaks.read_bytes_per_second, 0);
  // No machine reads eight bytes from memory in the time of one multiply-add of every lane.
  EXPECT_LT(peaks.read_bytes_per_second, 4 * peaks.flops_per_second);
}

}  // namespace
}  // namespace maskerade
