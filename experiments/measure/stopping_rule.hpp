#pragma once

#include <cstddef>
#include <vector>

#include "experiments/measure/statistics.hpp"

namespace maskerade {

// Decides when a cell has been repeated often enough: after kMinimumRepetitions, once the medians
// of the sparse total and of the dense reference are both known to the target; or once the time
// budget is spent. The caller makes kWarmUps runs before, which are not added. Without an interval
// the target is not reached. Testing a growing sample again and again stops a little too early, so
// that the interval's 95 % are nominal.
class StoppingRule {
 public:
  static constexpr int kWarmUps = 1;
  static constexpr std::size_t kMinimumRepetitions = kLeastSamplesOfInterval;

  // target: relative half-width of the median's 95 % confidence interval. budget_ms: wall time of
  // the cell. least: how many repetitions to make even when the budget is spent; at least one is
  // made.
  StoppingRule(double target, double budget_ms, std::size_t least = 1)
      : target_(target), budget_ms_(budget_ms), least_(least) {}

  // Adds the times of one repetition.
  void add(double sparse_ms, double dense_ms) {
    sparse_ms_.push_back(sparse_ms);
    dense_ms_.push_back(dense_ms);
  }
  // Whether to stop. elapsed_ms: wall time since the cell began.
  bool is_done(double elapsed_ms);

  // The times that were added, in order.
  const std::vector<double>& sparse_ms() const noexcept { return sparse_ms_; }
  const std::vector<double>& dense_ms() const noexcept { return dense_ms_; }

 private:
  double target_;
  double budget_ms_;
  std::size_t least_;
  std::vector<double> sparse_ms_;
  std::vector<double> dense_ms_;
  std::size_t next_look_ = kMinimumRepetitions;  // repetitions at which to test the target again
};

}  // namespace maskerade
