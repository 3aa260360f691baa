#include "experiments/run/run_peaks.hpp"

#include <gtest/gtest.h>

#include <new>

#include "tests/experiments/results/example_result.hpp"

namespace maskerade {
namespace {

MachinePeaks peaks_of(double flops_per_second) {
  return {.flops_per_second = flops_per_second, .read_bytes_per_second = 1e10};
}

// A result that attends at 5e10 flop/s, at 3.3e10 at least; it was begun with other peaks.
CellResult measured() {
  CellResult result = example_result();
  result.facts->dtype = DType::kFloat32;
  result.cost->required_flops = 7.25e8;
  result.cost->required_bytes = 1e6;
  result.peaks = peaks_of(1);
  return result;
}

TEST(RunPeaks, AreMeasuredAgainWhereAResultContradictsThem) {
  int probes = 0;
  RunPeaks peaks(peaks_of(2e10), Threads(1), [&](const Threads&) {
    ++probes;
    return MachinePeaks{.flops_per_second = 1e11, .read_bytes_per_second = 1e9};
  });
  CellResult result = measured();
  peaks.apply(result);
  EXPECT_EQ(probes, 1);
  EXPECT_EQ(result.peaks->flops_per_second, 1e11);
  EXPECT_EQ(result.peaks->read_bytes_per_second, 1e10) << "the larger is kept";
  CellResult next = measured();
  peaks.apply(next);
  EXPECT_EQ(probes, 1) << "the new ones hold";
  EXPECT_EQ(next.peaks->flops_per_second, 1e11);
}

TEST(RunPeaks, AreNotMeasuredWhereAllResultsAreUnderThem) {
  RunPeaks peaks(peaks_of(1e11), Threads(1), [](const Threads&) -> MachinePeaks {
    ADD_FAILURE() << "nothing contradicts the peaks";
    return {};
  });
  CellResult result = measured();
  peaks.apply(result);
  EXPECT_EQ(result.peaks->flops_per_second, 1e11);
}

TEST(RunPeaks, AreMeasuredAgainAFewTimesOnly) {
  int probes = 0;
  RunPeaks peaks(peaks_of(2e10), Threads(1), [&](const Threads&) {
    ++probes;
    return peaks_of(2e10);
  });
  for (int i = 0; i < 10; ++i) {
    CellResult result = measured();
    peaks.apply(result);
    EXPECT_TRUE(result.contradicts_peaks());
  }
  EXPECT_EQ(probes, RunPeaks::kMostRenewals);
}

TEST(RunPeaks, StayWhereThereIsTooLittleMemoryToMeasure) {
  RunPeaks peaks(peaks_of(2e10), Threads(1),
                 [](const Threads&) -> MachinePeaks { throw std::bad_alloc(); });
  CellResult result = measured();
  peaks.apply(result);
  EXPECT_EQ(result.peaks->flops_per_second, 2e10);
}

TEST(RunPeaks, LeaveDevicesAndResultsWithoutPeaksAlone) {
  RunPeaks peaks(peaks_of(2e10), Threads(1), [](const Threads&) { return peaks_of(1e11); });
  CellResult cuda = measured();
  cuda.device = "cuda";
  peaks.apply(cuda);
  EXPECT_EQ(cuda.peaks->flops_per_second, 1);
  CellResult without = measured();
  without.peaks.reset();
  peaks.apply(without);
  EXPECT_FALSE(without.peaks);
}

}  // namespace
}  // namespace maskerade
