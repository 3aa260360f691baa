#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>

#include "attention/cuda/detail/row_plan.hpp"
#include "attention/cuda/detail/tile_plan.hpp"
#include "framework/mask/cuda/mask_bounds.hpp"
#include "framework/tensor/cuda/device_buffer.hpp"
#include "framework/tensor/shape.hpp"

namespace maskerade::cuda {

// Plans with their device memory. Making one enqueues and does not wait.
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

  // > 0: attended to by pairs of row blocks (RowBlockPairs), whose keys are split that often.
  std::int64_t pair_splits = 0;

  // Keys that are read over all row blocks, or pairs of them. Waits.
  std::int64_t keys_touched() const;
  std::int64_t size_bytes() const noexcept;
};

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
