#pragma once

#include <limits>

#include "experiments/stress/cell_checker.hpp"

namespace maskerade::stress {

// The most cells that are tried to shrink one.
inline constexpr int kMostTries = 200;

// A failure of the same invariant by the same masker in a simpler cell: fewer maskers before it, no
// previous mask, a smaller shape, normal data in float32, default parameters, one thread, one
// chunk. Each step is kept where the invariant still fails; when no step is, or after kMostTries or
// most_ms milliseconds, the cell is what is given back. The same failure gives the same one, unless
// time was short.
CellFailure shrink(const CellFailure& failure,
                   CellChecker& checker,
                   double most_ms = std::numeric_limits<double>::infinity());

}  // namespace maskerade::stress
