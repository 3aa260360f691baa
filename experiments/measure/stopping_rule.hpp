#pragma once

#include <cstddef>
#include <vector>

namespace maskerade {

// When a cell has been repeated often enough: when the medians of both the sparse total and the
// dense reference are known to the target after at least kMinimumRepetitions, or when the budget is
// spent and there are at least as many repetitions as it is told. Warm-up runs are not told to it.
// Fewer than six samples have no 95 % interval (minimum to maximum of five holds the median in 94
// %). Looking again and again at a growing sample stops a little early: the coverage is nominal.
class StoppingRule {
 public:
  static constexpr int kWarmUps = 1;
  static constexpr std::size_t kMinimumRepetitions = 6;

  // target: relative half-width of the median's 95 % confidence interval. budget_ms: wall time.
  // least: repetitions, at least one.
  StoppingRule(double target, double budget_ms, std::size_t least = 1)
      : target_(target), budget_ms_(budget_ms), least_(least) {}

  void add(double sparse_ms, double dense_ms) {
    sparse_ms_.push_back(sparse_ms);
    dense_ms_.push_back(dense_ms);
  }
  // elapsed_ms: since the cell began.
  bool is_done(double elapsed_ms);

  const std::vector<double>& sparse_ms() const noexcept { return sparse_ms_; }
  const std::vector<double>& dense_ms() const noexcept { return dense_ms_; }

 private:
  double target_;
  double budget_ms_;
  std::size_t least_;
  std::vector<double> sparse_ms_;
  std::vector<double> dense_ms_;
  std::size_t next_look_ = kMinimumRepetitions;
};

}  // namespace maskerade
