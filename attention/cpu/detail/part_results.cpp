#include "attention/cpu/detail/part_results.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace maskerade::detail {

void PartResults::resize(std::int64_t parts, std::int64_t rows) {
  rows_ = rows;
  out_.resize(static_cast<std::size_t>(parts * rows * head_dim_));
  lse_.resize(static_cast<std::size_t>(parts * rows));
}

float PartResults::merge(std::int64_t first,
                         std::int64_t parts,
                         std::int64_t row,
                         float* out) const {
  constexpr double kNone = -std::numeric_limits<double>::infinity();
  const auto lse_of = [&](std::int64_t part) {
    return lse_[static_cast<std::size_t>(part * rows_ + row)];
  };
  double top = kNone;
  for (std::int64_t p = first; p < first + parts; ++p) top = std::max(top, lse_of(p));
  if (top == kNone) {
    std::fill_n(out, head_dim_, 0.0F);
    return static_cast<float>(kNone);
  }
  std::vector<double> sums(static_cast<std::size_t>(head_dim_));
  double sum = 0;
  for (std::int64_t p = first; p < first + parts; ++p) {
    if (lse_of(p) == kNone) continue;
    const double weight = std::exp(lse_of(p) - top);
    const float* part = out_.data() + (p * rows_ + row) * head_dim_;
    sum += weight;
    for (std::size_t d = 0; d < sums.size(); ++d) sums[d] += weight * part[d];
  }
  for (std::size_t d = 0; d < sums.size(); ++d) out[d] = static_cast<float>(sums[d] / sum);
  return static_cast<float>(top + std::log(sum));
}

}  // namespace maskerade::detail
