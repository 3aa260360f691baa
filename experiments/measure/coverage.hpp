#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "framework/plugin/parameters.hpp"

namespace maskerade {

// An observed rate with exact bounds.
struct RateBounds {
  double rate = 0;
  double lo = 0;
  double hi = 0;
};

// How often a sampler missed what it states: P(|D' - D| > epsilon D) <= delta.
struct Coverage {
  Guarantee stated;
  std::int64_t seeds = 0;
  std::int64_t rows = 0;  // (batch, query head, query)
  // Of all rows and seeds together, each bound passed by with probability 0.1 %. Rows differ in
  // their rates, which makes their sum vary less than a binomial: the bounds hold.
  RateBounds overall;
  // Of the row that missed most often, each bound passed by in any of the rows with probability
  // 0.1 % (Bonferroni).
  RateBounds worst;
  std::int64_t contradicting_rows = 0;  // whose lower bound, so made, exceeds delta

  // Whether the lower bound of the overall rate, or that of a row, exceeds delta.
  bool is_contradicted() const { return overall.lo > stated.delta || contradicting_rows > 0; }
};

// "holds" or "contradicted".
std::string_view verdict_of(const Coverage& coverage) noexcept;

// Counts misses. What it is told comes in any order.
class CoverageTally {
 public:
  CoverageTally(const Guarantee& stated, std::size_t rows);

  // One seed's estimate of a row's softmax denominator, in the unit of the exact one.
  void add(std::size_t row, double estimate, double exact);
  // Requires as many calls of add for every row, at least one.
  Coverage finish() const;

 private:
  Guarantee stated_;
  std::vector<std::int64_t> misses_;  // by row
  std::int64_t trials_ = 0;
};

}  // namespace maskerade
