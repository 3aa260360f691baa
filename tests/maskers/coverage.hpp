// How often a sampler's denominator is off by more than it promised.
#pragma once

#include "tests/maskers/sampler_checks.hpp"

namespace maskerade {

struct Coverage {
  std::int64_t failures = 0;  // rows and seeds with |D~ - D| > epsilon D
  std::int64_t trials = 0;
  double density = 0;  // mean over the seeds

  double rate() const { return static_cast<double>(failures) / static_cast<double>(trials); }
  // Exact bounds, each passed by with probability 0.1 %. Rows differ in their rates, which makes
  // their sum vary less than a binomial: the bounds hold.
  double lower() const { return statistics::lower_bound(failures, trials, 0.999); }
  double upper() const { return statistics::upper_bound(failures, trials, 0.999); }
  bool contradicts(double delta) const { return lower() > delta; }
};

// planted: what a twin multiplies the stated probabilities by.
inline Coverage coverage(const std::vector<MaskerUse>& maskers,
                         const MaskerProblem& problem,
                         double epsilon,
                         std::int64_t seeds,
                         double planted = 1) {
  const std::vector<double> weights = exact_weights(problem);
  const auto key_len = static_cast<std::size_t>(problem.shape().key_len);
  Coverage found;
  for_each_seed(maskers, problem, seeds, [&](const std::vector<float>& probabilities) {
    std::int64_t active = 0;
    for (std::size_t first = 0; first < weights.size(); first += key_len) {
      double exact = 0;
      double estimate = 0;
      for (std::size_t i = first; i < first + key_len; ++i) {
        exact += weights[i];
        const double p = double{probabilities[i]};
        if (p == 0) continue;
        estimate += weights[i] / (p < 1 ? p * planted : p);
        ++active;
      }
      if (std::abs(estimate - exact) > epsilon * exact) ++found.failures;
      ++found.trials;
    }
    found.density += static_cast<double>(active) / static_cast<double>(weights.size()) /
                     static_cast<double>(seeds);
  });
  return found;
}

}  // namespace maskerade
