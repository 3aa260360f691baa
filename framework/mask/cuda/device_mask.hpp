#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>

#include "framework/mask/cuda/combine_masks.hpp"
#include "framework/mask/cuda/mask_view.hpp"
#include "framework/mask/mask.hpp"
#include "framework/tensor/cuda/device_buffer.hpp"

namespace maskerade {

class MaskDraft;

// A mask in device memory: the same tiles, word for word. Belongs to a stream, in whose order it
// is made, read and freed.
class DeviceMask {
 public:
  // Copies a mask and waits until it is there. Throws CudaError.
  static DeviceMask upload(const Mask& mask, cudaStream_t stream);

  // The mask, in host memory; waits for the stream.
  Mask download(const Visibility& visibility) const;

  // The algebra of masks of bits, as in set_operations.hpp: enqueued in the stream of the left
  // operand, to which the right one belongs too. Throw ShapeError when the operands do not fit, and
  // when one has entries with probability below 1, which are combined on the CPU only. Both have
  // the same visibility.
  DeviceMask united(const DeviceMask& other) const;
  DeviceMask intersected(const DeviceMask& other) const;
  DeviceMask without(const DeviceMask& other) const;
  DeviceMask complement() const;

  const cuda::MaskView& view() const noexcept { return view_; }
  std::int64_t size_bytes() const noexcept;

 private:
  friend class MaskDraft;
  DeviceMask combined(cuda::MaskOperation operation, const DeviceMask& other) const;

  DeviceBuffer<std::uint64_t> any_;
  DeviceBuffer<std::uint64_t> full_;
  DeviceBuffer<std::int32_t> ranks_;
  DeviceBuffer<std::int64_t> partial_offsets_;
  DeviceBuffer<std::uint64_t> partial_;
  DeviceBuffer<std::int64_t> sampled_offsets_;
  DeviceBuffer<std::int32_t> sampled_keys_;
  DeviceBuffer<float> sampled_probabilities_;
  DeviceBuffer<std::int32_t> ends_;
  DeviceBuffer<std::int32_t> overflow_;  // of a combined mask: must stay 0
  cuda::MaskView view_;
};

namespace cuda {

// Enqueues FindRanks for `tile_rows`.
void find_ranks(const FindRanks& body, std::int64_t tile_rows, cudaStream_t stream);
// Enqueues combine_masks_steps.
void combine_masks(const CombinedWords& source, const CombinedArrays& to, cudaStream_t stream);

}  // namespace cuda

}  // namespace maskerade
