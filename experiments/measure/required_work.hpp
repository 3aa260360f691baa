#pragma once

#include "experiments/measure/machine_peaks.hpp"
#include "framework/mask/mask.hpp"
#include "framework/tensor/dtype.hpp"
#include "framework/tensor/shape.hpp"

namespace maskerade {

// The least work with which any kernel can attend over a mask.
struct RequiredWork {
  double flops = 0;  // 4 * head_dim for each active entry: q.k and p.v
  double bytes = 0;  // K and V of the keys that a kv group attends to, q, out and lse, each once

  // The least time in milliseconds: the larger of the times for the flops at peak arithmetic and
  // for the bytes at peak bandwidth.
  double attainable_ms(const MachinePeaks& peaks) const noexcept;
};

// The work of attention over `mask` for inputs of `dtype`. active_entries: active entries of all
// rows of `shape`; a broadcast mask's entries count once for every row that uses them.
RequiredWork required_work(const Mask& mask,
                           const AttentionShape& shape,
                           DType dtype,
                           std::int64_t active_entries);

// Counts the keys that at least one row of a kv head's group attends to; the sum over all batch
// entries and kv heads.
std::int64_t count_attended_keys(const Mask& mask, const AttentionShape& shape);

// The bytes of q, out and lse together. `dtype` is that of q; out and lse are float32.
std::int64_t row_bytes(const AttentionShape& shape, DType dtype);

}  // namespace maskerade
