#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>

#include "framework/mask/cuda/combine_masks.hpp"
#include "framework/mask/cuda/mask_view.hpp"
#include "framework/mask/mask.hpp"
#include "framework/tensor/cuda/device_buffer.hpp"

namespace maskerade {

class MaskDraft;

// A mask in device memory, with the same tiles and words as in host memory. It belongs to a stream:
// its memory is written, read and freed in that stream's order, and the stream must outlive it.
class DeviceMask {
 public:
  // Copies a mask to the device and waits until the copy is done. Throws CudaError.
  static DeviceMask upload(const Mask& mask, cudaStream_t stream);

  // A copy in host memory; waits for the stream. `visibility` must be that of the mask. Throws
  // CudaError.
  Mask download(const Visibility& visibility) const;

  // The union, intersection, difference and complement of set_operations.hpp for masks without
  // sampled entries. The work is enqueued in the stream of this mask, to which `other` must belong,
  // and is not waited for. Both must have the same visibility. Throw ShapeError when lengths or
  // extents do not fit, or when a mask has sampled entries, which are combined on the CPU only.
  DeviceMask united(const DeviceMask& other) const;
  DeviceMask intersected(const DeviceMask& other) const;
  DeviceMask without(const DeviceMask& other) const;
  DeviceMask complement() const;

  // The mask's arrays for kernels, valid as long as the mask.
  const cuda::MaskView& view() const noexcept { return view_; }
  std::int64_t size_bytes() const noexcept;  // device memory of the arrays

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
  DeviceBuffer<std::int32_t> overflow_;  // CombinedArrays::overflow of a combined mask; else empty
  cuda::MaskView view_;
};

namespace cuda {

// Enqueues a call of `body` for each of so many tile rows.
void find_ranks(const FindRanks& body, std::int64_t tile_rows, cudaStream_t stream);
// Enqueues the steps of combine_masks_steps().
void combine_masks(const CombinedWords& source, const CombinedArrays& to, cudaStream_t stream);

}  // namespace cuda

}  // namespace maskerade
