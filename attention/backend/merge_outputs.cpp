#include "attention/backend/merge_outputs.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "framework/base/error.hpp"

namespace maskerade {
namespace {

void check_parts(const AttentionShape& shape, std::span<const AttentionOutput> parts) {
  if (parts.empty()) throw ShapeError("there are no parts to merge; give one or more");
  for (std::size_t i = 0; i < parts.size(); ++i) {
    const auto rows = static_cast<std::int64_t>(parts[i].lse.size());
    const auto values = static_cast<std::int64_t>(parts[i].out.size());
    if (rows == shape.rows() && values == shape.rows() * shape.head_dim) continue;
    throw ShapeError(fmt::format("part {} has {} rows and {} values; the shape asks for {} and {}",
                                 i, rows, values, shape.rows(), shape.rows() * shape.head_dim));
  }
}

}  // namespace

AttentionOutput merge_outputs(const AttentionShape& shape, std::span<const AttentionOutput> parts) {
  check_parts(shape, parts);
  AttentionOutput merged;
  merged.resize(shape);
  const auto dim = static_cast<std::size_t>(shape.head_dim);
  for (std::size_t row = 0; row < merged.lse.size(); ++row) {
    double top = -std::numeric_limits<double>::infinity();
    for (const AttentionOutput& part : parts) {
      const double lse = part.lse[row];
      if (std::isnan(lse) || lse > top) top = lse;
      if (std::isnan(top)) break;
    }
    float* const out = merged.out.data() + row * dim;
    std::fill_n(out, dim, 0.0F);
    merged.lse[row] = -std::numeric_limits<float>::infinity();
    if (std::isinf(top) && top < 0) continue;
    double sum = 0;
    std::vector<double> values(dim);
    for (const AttentionOutput& part : parts) {
      const double weight = std::exp(double{part.lse[row]} - top);
      if (weight == 0) continue;  // NaN is not skipped
      sum += weight;
      for (std::size_t d = 0; d < dim; ++d) values[d] += weight * double{part.out[row * dim + d]};
    }
    for (std::size_t d = 0; d < dim; ++d) out[d] = static_cast<float>(values[d] / sum);
    merged.lse[row] = static_cast<float>(top + std::log(sum));
  }
  return merged;
}

}  // namespace maskerade
