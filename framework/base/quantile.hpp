#pragma once

#include <span>

namespace maskerade {

// The q-quantile, 0 <= q <= 1, of one or more samples, linear between order statistics (Hyndman and
// Fan's type 7). Reorders the samples. NaN has no order: all samples are NaN or none is.
double quantile_in_place(std::span<double> samples, double q);

}  // namespace maskerade
