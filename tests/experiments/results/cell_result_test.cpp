#include "experiments/results/cell_result.hpp"

#include <gtest/gtest.h>

#include "tests/experiments/results/example_result.hpp"

namespace maskerade {
namespace {

// A summary whose interval reaches a share of the median to either side.
Summary precise(double median, double relative_half_width) {
  return {.median = median,
          .lo = median * (1 - relative_half_width),
          .hi = median * (1 + relative_half_width),
          .min = median / 2,
          .repetitions = 20};
}

CellResult precise_result() {
  CellResult result = example_result();
  result.measure_target = 0.02;
  result.times->attend = precise(14.5, 0.01);
  result.times->total = precise(25, 0.01);
  result.times->dense = precise(100, 0.01);
  return result;
}

TEST(Timing, IsOkWhereTotalAndDenseAreKnownToTheTarget) {
  EXPECT_EQ(precise_result().timing(), TimingQuality::kOk);
  EXPECT_DOUBLE_EQ(*precise_result().total_relative_half_width(), 0.01);
}

TEST(Timing, IsNoisyWhereOneIsNot) {
  CellResult total = precise_result();
  total.times->total = precise(25, 0.03);
  EXPECT_EQ(total.timing(), TimingQuality::kNoisy);
  CellResult dense = precise_result();
  dense.times->dense = precise(100, 0.03);
  EXPECT_EQ(dense.timing(), TimingQuality::kNoisy);
}

TEST(Timing, OfOneRepetitionHasNoIntervalAndIsNoisy) {
  CellResult once = precise_result();
  const std::vector<double> samples = {25};
  once.times->total = summarize(samples);
  EXPECT_FALSE(once.times->total.lo || once.times->total.hi);
  EXPECT_FALSE(once.total_relative_half_width());
  EXPECT_EQ(once.timing(), TimingQuality::kNoisy);
}

TEST(Timing, OfNothingIsAbsent) {
  CellResult failed = precise_result();
  failed.times.reset();
  EXPECT_FALSE(failed.timing());
}

TEST(Attainable, FollowsFromTheWorkAndThePeaksThatTheResultHasNow) {
  CellResult result = example_result();
  result.cost->required_flops = 4e8;
  result.cost->required_bytes = 1e8;
  result.peaks = MachinePeaks{.flops_per_second = 2e11, .read_bytes_per_second = 1e11};
  EXPECT_DOUBLE_EQ(*result.attainable_ms(), 2);
  result.peaks->read_bytes_per_second = 2e10;
  EXPECT_DOUBLE_EQ(*result.attainable_ms(), 5);
  result.peaks.reset();
  EXPECT_FALSE(result.attainable_ms());
}

TEST(ContradictedPeaks, AreThoseThatAreTooLowForTheWholeInterval) {
  CellResult result = precise_result();  // attends in 14.5 ms, 14.645 at most
  result.cost->required_bytes = 1;
  result.peaks = MachinePeaks{.flops_per_second = 1e9, .read_bytes_per_second = 1e9};
  result.cost->required_flops = 14.7e6;
  EXPECT_TRUE(result.contradicts_peaks());
  result.cost->required_flops = 14.6e6;
  EXPECT_FALSE(result.contradicts_peaks()) << "within the noise";
  result.cost->required_flops = 14.7e6;
  result.times->attend.lo = result.times->attend.hi = std::nullopt;
  EXPECT_FALSE(result.contradicts_peaks()) << "the noise is not known";
  result.peaks.reset();
  EXPECT_FALSE(result.contradicts_peaks());
}

TEST(ContradictedPeaks, CountBytesThatNoCacheHolds) {
  CellResult result = precise_result();
  result.cost->required_flops = 1;
  result.peaks = MachinePeaks{.flops_per_second = 1e9, .read_bytes_per_second = 1e9};
  result.cost->required_bytes = 1e9;
  EXPECT_TRUE(result.contradicts_peaks());
  result.cost->required_bytes = 1e8;
  EXPECT_FALSE(result.contradicts_peaks()) << "caches may serve it";
}

}  // namespace
}  // namespace maskerade
