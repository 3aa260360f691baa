#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

namespace maskerade::compare {

// The ends of an interval of a ratio.
struct RatioInterval {
  double lo = 0;
  double hi = 0;
};

// A ratio of two times, and how well it is known: (log - the true logarithm) / standard_error has
// Student's t distribution with that many degrees of freedom.
struct RatioEstimate {
  double log = 0;             // natural logarithm of the ratio
  double standard_error = 0;  // of log
  double degrees_of_freedom = 1;

  double ratio() const;
  // The interval that holds the true ratio with that probability.
  RatioInterval interval(double confidence) const;
  // The probability of an estimate at least as far from 1 if the true ratio is 1.
  double p_of_equality() const;
};

// Fewer pairs of runs make no estimate.
inline constexpr std::size_t kLeastPairs = 4;

// From pairs of runs that were taken side by side, each the logarithm of the second time over the
// first: the mean of the middle half, with the standard error of Tukey and McLaughlin (1963) from
// the winsorized variance, and 0.8 of their degrees of freedom, one less than the number of the
// middle half. Rationale: a run that something else disturbed is far off on one side or the other,
// and costs nothing there. With all of their degrees of freedom 5 % are 6.5 % for eight pairs of
// normal noise, and a hundredth of a percent twice as much; with 0.8 both are what they say, or
// less, from four pairs to hundreds. nullopt below kLeastPairs.
std::optional<RatioEstimate> estimate_of_pairs(std::span<const double> log_ratios);

// From several runs of each side that are not paired: the difference of the means of the
// logarithms, with Welch's degrees of freedom. nullopt below two runs of a side.
std::optional<RatioEstimate> estimate_of_runs(std::span<const double> a_logs,
                                              std::span<const double> b_logs);

// The standard error of the logarithm of the median of one run's times, from the moving-block
// bootstrap (Kuensch 1989; blocks of the cube root of their number, around the end): repetitions
// that follow each other are alike. With `ruler_ms`, the times of the ruler in the same
// repetitions: of the median over the median of the ruler. nullopt below six times, or where one is
// not above 0.
std::optional<double> bootstrap_error(std::span<const double> times_ms,
                                      std::span<const double> ruler_ms,
                                      std::uint64_t seed);

}  // namespace maskerade::compare
