#pragma once

#include <cstdint>
#include <span>

namespace maskerade {

// The q-quantile of the samples, 0 <= q <= 1; 0.5 gives the median. Between two samples it is
// interpolated linearly (type 7 of Hyndman and Fan, 1996). Requires at least one sample, and that
// none is NaN or all are, since NaN has no order. The samples are left in another order.
double quantile_in_place(std::span<double> samples, double q);

// The same of a larger sample, which holds each of these `copies` times. copies >= 1.
double quantile_in_place(std::span<double> samples, std::int64_t copies, double q);

}  // namespace maskerade
