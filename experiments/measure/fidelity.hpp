#pragma once

#include <span>
#include <vector>

#include "attention/backend/attention_output.hpp"
#include "framework/base/parallel.hpp"
#include "framework/mask/mask.hpp"

namespace maskerade {

// Fidelity of one (batch, query head).
struct HeadFidelity {
  double rel_l2_error = 0;
  double attention_recall = 0;
};

// How close a sparse attention is to the dense one on the same inputs.
struct Fidelity {
  // ||out - dense|| / ||dense||, over all rows and over the rows of each (batch, query head).
  double rel_l2_error = 0;
  double rel_l2_error_median_head = 0;
  double rel_l2_error_p95_head = 0;
  double rel_l2_error_max_head = 0;
  double attention_recall =
      0;                     // mean over rows: share of the dense softmax mass on keys with p = 1
  double sampled_share = 0;  // the same for keys with p < 1, unweighted
  double lse_error = 0;      // mean abs(lse - dense lse) over rows where both are finite
  std::vector<HeadFidelity> heads;  // [batch, query_heads]
};

// Natural logarithms of the softmax mass of parts of a mask, [batch, query_heads, query_len].
struct MaskMass {
  std::span<const float> bits;     // keys with p = 1
  std::span<const float> support;  // every active key, unweighted
};

// The same, with their memory.
struct RowMasses {
  std::vector<float> bits;
  std::vector<float> support;
};

// The masses of the parts of a mask over which attention gave `sparse`. Attends to the parts of a
// mask with sampled entries apart; never to be timed.
RowMasses masses_of(const AttentionInputs& inputs,
                    const Mask& mask,
                    const AttentionOutput& sparse,
                    const Threads& threads);

// Compares two outputs of one shape. Where a mask has no sampled entries, both parts of the mass
// are sparse.lse. Rows without keys have no recall and count as 0.
Fidelity compare_outputs(const AttentionShape& shape,
                         const AttentionOutput& sparse,
                         const AttentionOutput& dense,
                         const MaskMass& mass);

// compare_outputs, with masses_of, for what attention over `mask` gave; never to be timed.
Fidelity measure_fidelity(const AttentionInputs& inputs,
                          const Mask& mask,
                          const AttentionOutput& sparse,
                          const AttentionOutput& dense,
                          const Threads& threads);

}  // namespace maskerade
