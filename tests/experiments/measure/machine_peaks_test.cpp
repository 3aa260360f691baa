#include "experiments/measure/machine_peaks.hpp"

#include <gtest/gtest.h>

#include <cmath>

#include "attention/cpu/attend.hpp"

namespace maskerade {
namespace {

TEST(MachinePeaks, AreTheLargerOfVectorsAndTilesByTheirProducts) {
  const MachinePeaks peaks{
      .flops_per_second = 200, .read_bytes_per_second = 1, .matrix_flops_per_second = 1500};
  EXPECT_EQ(peaks.flops_with(0), 200);
  EXPECT_EQ(peaks.flops_with(1.5), 1000);
  EXPECT_EQ(peaks.flops_with(10), 200);
}

TEST(MachinePeaks, OfTwoMeasurementsAreTheLargerOfEachRate) {
  const MachinePeaks larger = larger_of(
      {.flops_per_second = 200, .read_bytes_per_second = 1, .matrix_flops_per_second = 1500},
      {.flops_per_second = 100, .read_bytes_per_second = 2, .matrix_flops_per_second = 1600});
  EXPECT_EQ(larger.flops_per_second, 200);
  EXPECT_EQ(larger.read_bytes_per_second, 2);
  EXPECT_EQ(larger.matrix_flops_per_second, 1600);
}

// How large they are is the machine's affair.
TEST(MachinePeaks, ArePositiveNumbers) {
  const MachinePeaks peaks = measure_peaks(Threads(2));
  EXPECT_GT(peaks.flops_per_second, 0);
  EXPECT_TRUE(std::isfinite(peaks.flops_per_second));
  EXPECT_GT(peaks.read_bytes_per_second, 0);
  EXPECT_TRUE(std::isfinite(peaks.read_bytes_per_second));
}

TEST(MachinePeaks, OfTilesIsThereWhereTheInstructionSetHasThem) {
  const double tiles = measure_matrix_flops_per_second(Threads(1));
  EXPECT_EQ(tiles > 0, instruction_set() == "AMX");
  EXPECT_TRUE(std::isfinite(tiles));
}

}  // namespace
}  // namespace maskerade
