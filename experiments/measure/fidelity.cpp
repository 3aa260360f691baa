#include "experiments/measure/fidelity.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <span>
#include <vector>

#include "experiments/measure/statistics.hpp"
#include "framework/base/error.hpp"

namespace maskerade {
namespace {

// Squared L2 norms: of the difference of two vectors, and of the reference.
struct Squares {
  double difference = 0;
  double reference = 0;

  double relative_error() const {
    if (difference == 0) return 0;
    return reference > 0 ? std::sqrt(difference / reference)
                         : std::numeric_limits<double>::infinity();
  }
};

Squares squares_of(std::span<const float> sparse, std::span<const float> dense) {
  Squares squares;
  for (std::size_t i = 0; i < sparse.size(); ++i) {
    const double difference = static_cast<double>(sparse[i]) - dense[i];
    squares.difference += difference * difference;
    squares.reference += static_cast<double>(dense[i]) * dense[i];
  }
  return squares;
}

// The share of a row's mass that a part of its keys has, from the logarithms of both masses: in
// [0, 1], 0 for a part without keys.
double share_of(double part, double whole) { return std::min(std::exp(part - whole), 1.0); }

bool has_keys(double lse) { return lse != -std::numeric_limits<double>::infinity(); }

}  // namespace

Fidelity compare_outputs(const AttentionShape& shape,
                         const AttentionOutput& sparse,
                         const AttentionOutput& dense,
                         const RowMasses& masses,
                         const std::vector<double>& dense_lse) {
  const std::size_t rows = static_cast<std::size_t>(shape.rows());
  if (sparse.lse.size() != rows || dense_lse.size() != rows || masses.certain.size() != rows ||
      masses.support.size() != rows || masses.weighted.size() != rows ||
      sparse.out.size() != dense.out.size()) {
    throw ShapeError("outputs to compare are not all of shape " + shape.to_string());
  }
  Fidelity fidelity;
  Squares whole;
  std::vector<double> by_head;
  const std::size_t heads = static_cast<std::size_t>(shape.batch * shape.query_heads);
  const std::size_t head_size = static_cast<std::size_t>(shape.query_len * shape.head_dim);
  for (std::size_t head = 0; head < heads; ++head) {
    const Squares squares = squares_of(std::span(sparse.out).subspan(head * head_size, head_size),
                                       std::span(dense.out).subspan(head * head_size, head_size));
    whole.difference += squares.difference;
    whole.reference += squares.reference;
    by_head.push_back(squares.relative_error());
    fidelity.heads.push_back({.rel_l2_error = by_head.back()});
  }
  fidelity.rel_l2_error = whole.relative_error();
  fidelity.rel_l2_error_median_head = quantile(by_head, 0.5);
  fidelity.rel_l2_error_p95_head = quantile(by_head, 0.95);
  fidelity.rel_l2_error_max_head = quantile(by_head, 1.0);

  double recall = 0;
  double sampled = 0;
  double lse_error = 0;
  std::size_t rows_with_keys = 0;
  std::size_t rows_with_both = 0;
  const std::size_t query_len = static_cast<std::size_t>(shape.query_len);
  for (std::size_t head = 0; head < heads; ++head) {
    double head_recall = 0;
    std::size_t head_rows = 0;
    for (std::size_t row = head * query_len; row < (head + 1) * query_len; ++row) {
      if (std::isnan(sparse.lse[row])) lse_error = std::numeric_limits<double>::quiet_NaN();
      if (!has_keys(dense_lse[row])) continue;
      ++head_rows;
      const double certain = share_of(masses.certain[row], dense_lse[row]);
      head_recall += certain;
      sampled += std::max(share_of(masses.support[row], dense_lse[row]) - certain, 0.0);
      if (!has_keys(masses.weighted[row])) continue;
      ++rows_with_both;
      lse_error += std::abs(masses.weighted[row] - dense_lse[row]);
    }
    recall += head_recall;
    rows_with_keys += head_rows;
    if (head_rows > 0) {
      fidelity.heads[head].attention_recall = head_recall / static_cast<double>(head_rows);
    }
  }
  if (rows_with_keys > 0) {
    fidelity.attention_recall = recall / static_cast<double>(rows_with_keys);
    fidelity.sampled_share = sampled / static_cast<double>(rows_with_keys);
  }
  fidelity.lse_error = rows_with_both > 0 ? lse_error / static_cast<double>(rows_with_both)
                                          : std::numeric_limits<double>::quiet_NaN();
  return fidelity;
}

}  // namespace maskerade
