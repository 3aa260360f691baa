#pragma once

#include <span>
#include <vector>

#include "attention/backend/attention_output.hpp"
#include "framework/base/parallel.hpp"
#include "framework/mask/mask.hpp"

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
  // The mean of abs(lse - dense lse) over rows where both are finite; NaN: there are none.
  double lse_error = 0;
  std::vector<HeadFidelity> heads;  // [batch, query_heads]
};

// The softmax mass of each row on parts of a mask: natural logarithms of the sum of exp(logit) over
// the part's keys, [batch, query_heads, query_len] each. A view of memory that others own.
struct MaskMass {
  std::span<const float> bits;     // over keys with p = 1
  std::span<const float> support;  // over all active keys, without their weights 1/p
};

// The arrays of a MaskMass, with their memory.
struct RowMasses {
  std::vector<float> bits;
  std::vector<float> support;
};

// Returns the masses of `mask`, attention over which gave `sparse`. For a mask with sampled entries
// it attends once to each part, so a caller must not include it in a time.
RowMasses masses_of(const AttentionInputs& inputs,
                    const Mask& mask,
                    const AttentionOutput& sparse,
                    const Threads& threads);

// Compares a sparse output with the dense one. All arrays must have `shape`; otherwise throws
// ShapeError. For a mask without sampled entries both parts of `mass` are sparse.lse. A row without
// active keys has recall 0; a row without visible keys is left out of the means.
Fidelity compare_outputs(const AttentionShape& shape,
                         const AttentionOutput& sparse,
                         const AttentionOutput& dense,
                         const MaskMass& mass);

// Returns compare_outputs() with masses_of() for an output of attention over `mask`. A caller must
// not include it in a time.
Fidelity measure_fidelity(const AttentionInputs& inputs,
                          const Mask& mask,
                          const AttentionOutput& sparse,
                          const AttentionOutput& dense,
                          const Threads& threads);

}  // namespace maskerade
