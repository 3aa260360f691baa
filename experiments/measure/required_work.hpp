#pragma once

#include "experiments/measure/machine_peaks.hpp"
#include "framework/mask/mask.hpp"
#include "framework/tensor/dtype.hpp"
#include "framework/tensor/shape.hpp"

namespace maskerade {

// The least that any kernel does to attend over a mask.
struct RequiredWork {
  double flops = 0;  // 4 * head_dim for each active entry: q.k and p.v
  double bytes = 0;  // K and V of the keys that a kv group attends to, q, out and lse, once each

  // The larger of flops at peak arithmetic and bytes at peak bandwidth.
  double attainable_ms(const MachinePeaks& peaks) const noexcept;
};

// active_entries: over the whole problem, broadcast copies counted.
RequiredWork required_work(const Mask& mask,
                           const AttentionShape& shape,
                           DType dtype,
                           std::int64_t active_entries);

// Keys that some row of a kv head's group attends to, over all batch entries and kv heads.
std::int64_t count_attended_keys(const Mask& mask, const AttentionShape& shape);

// Bytes of q, out and lse, once each.
std::int64_t row_bytes(const AttentionShape& shape, DType dtype);

}  // namespace maskerade
