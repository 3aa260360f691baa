#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>

#include "attention/cuda/detail/row_plan.hpp"
#include "attention/cuda/detail/tile_plan.hpp"
#include "framework/mask/cuda/mask_bounds.hpp"
#include "framework/tensor/cuda/device_buffer.hpp"
#include "framework/tensor/shape.hpp"

namespace maskerade::cuda {

// A TilePlan and the device memory of its arrays. The constructor enqueues the planning and does
// not wait; the mask must outlive the plan. bounds: upper bounds of what the mask holds, by which
// memory is allocated before the mask is known; when they are too low, `overflow` becomes 1.
struct DeviceTilePlan {
  DeviceTilePlan(const AttentionShape& shape,
                 const MaskView& mask,
                 const MaskBounds& bounds,
                 bool is_dense,
                 cudaStream_t stream);

  DeviceBuffer<std::int64_t> entry_offsets;
  DeviceBuffer<std::int64_t> bits_offsets;
  DeviceBuffer<TileEntry> entries;
  DeviceBuffer<std::int64_t> sources;
  DeviceBuffer<std::uint64_t> bits;
  DeviceBuffer<std::int32_t> overflow;
  TilePlan plan;

  // How often a kernel that takes row blocks in pairs (RowBlockPairs) splits a pair's keys; 0 for
  // kernels that take them one by one. keys_touched() depends on it.
  std::int64_t pair_splits = 0;

  // Rows of K that a kernel reads: a key counts once for each row block, or pair, that reads it. 0
  // after an overflow. Waits.
  std::int64_t keys_touched() const;
  // Device memory of the arrays.
  std::int64_t size_bytes() const noexcept;
};

// The same for a RowPlan.
struct DeviceRowPlan {
  DeviceRowPlan(const AttentionShape& shape,
                const MaskView& mask,
                const MaskBounds& bounds,
                cudaStream_t stream);

  DeviceBuffer<std::int64_t> offsets;
  DeviceBuffer<std::int32_t> keys;
  DeviceBuffer<std::uint16_t> rows;
  DeviceBuffer<float> biases;
  DeviceBuffer<std::int32_t> overflow;
  RowPlan plan;

  std::int64_t keys_touched() const;
  std::int64_t size_bytes() const noexcept;
};

}  // namespace maskerade::cuda
