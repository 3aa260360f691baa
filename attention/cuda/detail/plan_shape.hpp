#pragma once

#include <cstdint>

#include "framework/mask/cuda/mask_view.hpp"
#include "framework/tensor/cuda/host_device.hpp"

namespace maskerade::cuda {

// The extents of a problem and of its mask, from which a device plan's row blocks follow.
struct PlanShape {
  std::int64_t batch = 1;
  std::int64_t query_heads = 1;
  std::int64_t kv_heads = 1;
  std::int64_t query_len = 1;
  std::int64_t mask_batch = 1;  // 1 or batch
  std::int64_t mask_heads = 1;  // 1, kv_heads or query_heads

  static PlanShape of(std::int64_t batch,
                      std::int64_t query_heads,
                      std::int64_t kv_heads,
                      const MaskView& mask) {
    return {batch, query_heads, kv_heads, mask.query_len, mask.batch, mask.heads};
  }

  // Query heads that read one kv head.
  MASKERADE_HOST_DEVICE std::int64_t group() const { return query_heads / kv_heads; }
};

}  // namespace maskerade::cuda
