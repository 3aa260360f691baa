#include "experiments/compare/verdict.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <numeric>

namespace maskerade::compare {

std::string_view name_of(Verdict verdict) noexcept {
  switch (verdict) {
    case Verdict::kSame:
      return "SAME";
    case Verdict::kFaster:
      return "FASTER";
    case Verdict::kSlower:
      return "SLOWER";
    case Verdict::kUnclear:
      return "UNCLEAR";
  }
  return "";
}

std::vector<double> holm_adjusted(std::span<const double> probabilities) {
  std::vector<std::size_t> order(probabilities.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](std::size_t i, std::size_t j) {
    return probabilities[i] < probabilities[j];
  });
  std::vector<double> adjusted(probabilities.size());
  double greatest = 0;
  for (std::size_t rank = 0; rank < order.size(); ++rank) {
    const auto left = static_cast<double>(order.size() - rank);
    greatest = std::max(greatest, std::min(1.0, left * probabilities[order[rank]]));
    adjusted[order[rank]] = greatest;
  }
  return adjusted;
}

double corrected_probability(const RatioEstimate& estimate, const VerdictRule& rule) {
  return std::min(1.0, rule.looks * estimate.p_of_equality());
}

Verdict verdict_of(const RatioEstimate& estimate, double adjusted, const VerdictRule& rule) {
  const RatioInterval interval = estimate.interval(rule.confidence());
  if (interval.lo >= 1 / (1 + rule.margin) && interval.hi <= 1 + rule.margin) {
    return Verdict::kSame;
  }
  if (adjusted > rule.error || std::abs(estimate.log) < std::log1p(rule.margin)) {
    return Verdict::kUnclear;
  }
  return estimate.log > 0 ? Verdict::kSlower : Verdict::kFaster;
}

}  // namespace maskerade::compare
