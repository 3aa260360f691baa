#pragma once

#include <vector>

#include "attention/backend/attention_output.hpp"
#include "attention/reference/row_masses.hpp"

namespace maskerade {

// How close sparse attention is to dense attention in one (batch, query head).
struct HeadFidelity {
  double rel_l2_error = 0;
  double attention_recall = 0;
};

// How close sparse attention is to dense attention on the same inputs.
struct Fidelity {
  // The relative L2 error of the output, ||out - dense|| / ||dense||: over all rows; then the
  // median, 95th percentile and maximum of the errors of each (batch, query head).
  double rel_l2_error = 0;
  double rel_l2_error_median_head = 0;
  double rel_l2_error_p95_head = 0;
  double rel_l2_error_max_head = 0;
  // The share of the dense softmax mass that lies on active keys, as a mean over rows: on keys with
  // p = 1, and on sampled keys (p < 1) without their weights 1/p.
  double attention_recall = 0;
  double sampled_share = 0;
  // The mean of abs(lse - dense lse) over rows where both are finite; NaN: there are none. Both are
  // float64 sums over the mask's keys, not the kernels'.
  double lse_error = 0;
  std::vector<HeadFidelity> heads;  // [batch, query_heads]
};

// Compares a sparse output, of attention over a mask with the given masses, with a dense one.
// dense_lse: the natural logarithm of each row's whole softmax mass. All arrays must have `shape`;
// otherwise throws ShapeError. A row without active keys has recall 0; a row without visible keys
// is left out of the means. What is NaN in an output makes the errors NaN.
Fidelity compare_outputs(const AttentionShape& shape,
                         const AttentionOutput& sparse,
                         const AttentionOutput& dense,
                         const RowMasses& masses,
                         const std::vector<double>& dense_lse);

}  // namespace maskerade
