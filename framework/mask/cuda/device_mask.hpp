#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>

#include "framework/mask/cuda/mask_view.hpp"
#include "framework/mask/mask.hpp"
#include "framework/tensor/cuda/device_buffer.hpp"

namespace maskerade {

// A mask in device memory: the same tiles, word for word. Belongs to a stream, in whose order it
// is made, read and freed.
class DeviceMask {
 public:
  // Copies a mask; enqueues only. Throws CudaError.
  static DeviceMask upload(const Mask& mask, cudaStream_t stream);

  // The mask, in host memory; waits for the stream.
  Mask download(const Visibility& visibility) const;

  const cuda::MaskView& view() const noexcept { return view_; }
  std::int64_t size_bytes() const noexcept;

 private:
  DeviceBuffer<std::uint64_t> any_;
  DeviceBuffer<std::uint64_t> full_;
  DeviceBuffer<std::int32_t> ranks_;
  DeviceBuffer<std::int64_t> partial_offsets_;
  DeviceBuffer<std::uint64_t> partial_;
  DeviceBuffer<std::int64_t> sampled_offsets_;
  DeviceBuffer<std::int32_t> sampled_keys_;
  DeviceBuffer<float> sampled_probabilities_;
  DeviceBuffer<std::int32_t> ends_;
  cuda::MaskView view_;
};

namespace cuda {

// Enqueues FindRanks for `tile_rows`.
void find_ranks(const FindRanks& body, std::int64_t tile_rows, cudaStream_t stream);

}  // namespace cuda

}  // namespace maskerade
