#pragma once

#include <span>
#include <string_view>
#include <vector>

#include "experiments/compare/ratio_estimate.hpp"

namespace maskerade::compare {

// What is said of a cell's time in B against A.
enum class Verdict {
  kSame,     // the ratio's interval lies within the margin
  kFaster,   // B takes less time, by more than the margin
  kSlower,   // B takes more
  kUnclear,  // neither is shown
};
std::string_view name_of(Verdict verdict) noexcept;  // "SAME", "FASTER", "SLOWER", "UNCLEAR"

// When a verdict is given.
struct VerdictRule {
  // SAME is a ratio from 1 / (1 + margin) to 1 + margin. Above 0.
  double margin = 0.05;
  // The probability of any FASTER or SLOWER among all cells where nothing differs; and of one cell
  // the probability that its interval misses the true ratio.
  double error = 0.05;
  // How often the estimates of a comparison are looked at while they grow: intervals and
  // probabilities are corrected for so many (Bonferroni). Rationale: who stops as soon as a
  // difference shows finds more of them than there are.
  int looks = 1;

  // The confidence of a cell's interval.
  double confidence() const { return 1 - error / looks; }
};

// Probabilities of several hypotheses, adjusted so that refusing those of at most `error` refuses a
// true one with at most that probability (Holm 1979). In their order.
std::vector<double> holm_adjusted(std::span<const double> probabilities);

// p_of_equality() of an estimate, times the looks; at most 1.
double corrected_probability(const RatioEstimate& estimate, const VerdictRule& rule);

// adjusted: the estimate's corrected_probability() among those of all cells, see holm_adjusted().
// SAME where the interval lies within the margin; else FASTER or SLOWER where the adjusted
// probability is at most the rule's error and the estimate itself is beyond the margin: a
// difference that is certain, and smaller than what counts as one, is neither.
Verdict verdict_of(const RatioEstimate& estimate, double adjusted, const VerdictRule& rule);

}  // namespace maskerade::compare
