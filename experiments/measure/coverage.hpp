#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "framework/plugin/parameters.hpp"

namespace maskerade {

// A rate that was observed, and bounds of the true rate.
struct RateBounds {
  double rate = 0;
  double lo = 0;
  double hi = 0;
};

// How often a sampler missed the guarantee that it states: P(|D' - D| > epsilon D) <= delta, where
// D is a row's softmax denominator and D' the sampler's estimate of it. A miss is one seed on which
// one row's estimate is further off than epsilon D.
struct Coverage {
  Guarantee stated;
  std::int64_t seeds = 0;  // draws of each row
  std::int64_t rows = 0;   // (batch, query head, query)
  // The rate of misses of all rows and seeds together. The true rate lies beyond a bound with
  // probability at most 0.1 %. Rationale: the bounds are a binomial's; rows whose rates differ make
  // the sum of misses vary less than that.
  RateBounds overall;
  // The rate of the row that missed most often. With probability at most 0.1 % the true rate of any
  // row lies beyond its bound (Bonferroni's correction for the number of rows).
  RateBounds worst;
  std::int64_t contradicting_rows = 0;  // rows whose lower bound, made like `worst`, is above delta

  // The lower bound, made like `worst`, of a row that misses with every seed.
  double certain_miss_lo = 0;

  // Whether the data contradict the guarantee: the lower bound of the overall rate, or of the rate
  // of some row, is above delta.
  bool is_contradicted() const { return overall.lo > stated.delta || contradicting_rows > 0; }
  // Whether the data support the guarantee: they do not contradict it, the upper bound of the
  // overall rate is at most delta, and there are seeds enough for one row to contradict it.
  // Rationale: that every row's upper bound is at most delta takes many hundred seeds; `worst`
  // tells.
  bool is_supported() const {
    return !is_contradicted() && overall.hi <= stated.delta && certain_miss_lo > stated.delta;
  }
};

// "contradicted" when coverage.is_contradicted(), "holds" when coverage.is_supported(), else
// "undecided".
std::string_view verdict_of(const Coverage& coverage) noexcept;

// Counts misses. Rows and seeds may be added in any order.
class CoverageTally {
 public:
  // rows: how many rows there are; they are numbered from 0.
  CoverageTally(const Guarantee& stated, std::size_t rows);

  // Adds one seed's estimate of a row's softmax denominator. Both values have the same scale, which
  // may be any.
  void add(std::size_t row, double estimate, double exact);
  // Evaluates the counts. Requires that add() was called equally often for every row, at least
  // once.
  Coverage finish() const;

 private:
  Guarantee stated_;
  std::vector<std::int64_t> misses_;  // of each row
  std::int64_t trials_ = 0;           // calls of add()
};

}  // namespace maskerade
