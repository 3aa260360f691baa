#include "experiments/measure/coverage.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "experiments/measure/statistics.hpp"

namespace maskerade {
namespace {

// The probability with which a true rate may lie beyond a bound.
constexpr double kBoundError = 0.001;

RateBounds bounds_of(std::int64_t misses, std::int64_t trials, double bound_error) {
  return {.rate = static_cast<double>(misses) / static_cast<double>(trials),
          .lo = binomial_lower_bound(misses, trials, 1 - bound_error),
          .hi = binomial_upper_bound(misses, trials, 1 - bound_error)};
}

}  // namespace

std::string_view verdict_of(const Coverage& coverage) noexcept {
  if (coverage.is_contradicted()) return "contradicted";
  return coverage.is_supported() ? "holds" : "undecided";
}

CoverageTally::CoverageTally(const Guarantee& stated, std::size_t rows)
    : stated_(stated), misses_(rows) {}

void CoverageTally::add(std::size_t row, double estimate, double exact) {
  // Negated, so that NaN counts as a miss.
  if (!(std::abs(estimate - exact) <= stated_.epsilon * exact)) ++misses_[row];
  ++trials_;
}

Coverage CoverageTally::finish() const {
  const auto rows = static_cast<std::int64_t>(misses_.size());
  const double row_error = kBoundError / static_cast<double>(rows);
  Coverage coverage{.stated = stated_, .seeds = trials_ / rows, .rows = rows};
  coverage.overall = bounds_of(std::accumulate(misses_.begin(), misses_.end(), std::int64_t{0}),
                               trials_, kBoundError);
  coverage.worst =
      bounds_of(*std::max_element(misses_.begin(), misses_.end()), coverage.seeds, row_error);
  coverage.certain_miss_lo = bounds_of(coverage.seeds, coverage.seeds, row_error).lo;
  for (const std::int64_t misses : misses_) {
    if (bounds_of(misses, coverage.seeds, row_error).lo > stated_.delta) {
      ++coverage.contradicting_rows;
    }
  }
  return coverage;
}

}  // namespace maskerade
