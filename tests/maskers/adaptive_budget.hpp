// adaptive_sampling's budget by the book, term by term: the reference of its tests.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

namespace maskerade {

// b = (z sigma m / (epsilon total))^2.
inline double keys_needed(double z, double sigma, double m, double epsilon, double total) {
  return std::pow(z * sigma * m / (epsilon * total), 2);
}
// Of a draw without replacement.
inline double finite_population(double b, double m) { return b / (1 + b / m); }

// What the weights of a base sample say of the m keys that remain.
struct BaseEstimate {
  double sigma = 0;  // n - 1 form
  double total = 0;  // statics + base + m * mean
};
inline BaseEstimate base_estimate(const std::vector<double>& base, double statics, double m) {
  const auto count = static_cast<double>(base.size());
  double sum = 0;
  for (const double weight : base) sum += weight;
  double squares = 0;
  for (const double weight : base) squares += std::pow(weight - sum / count, 2);
  return {std::sqrt(squares / (count - 1)), statics + sum + m * sum / count};
}

// b', within [min(base, m), m].
inline std::int64_t adaptive_draws(double b, std::int64_t base, std::int64_t m) {
  const double whole = std::ceil(finite_population(b, static_cast<double>(m)));
  return std::clamp(static_cast<std::int64_t>(whole), std::min(base, m), m);
}

}  // namespace maskerade
