#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>

#include "framework/mask/cuda/device_mask.hpp"
#include "framework/mask/cuda/draft_steps.hpp"
#include "framework/mask/cuda/mask_bounds.hpp"

namespace maskerade {

// What every query sees, in device memory.
struct DeviceVisibility {
  // Copies and waits.
  DeviceVisibility(const Visibility& visibility, cudaStream_t stream);

  DeviceBuffer<std::int64_t> positions;
  DeviceBuffer<std::int32_t> ends;
  std::int64_t key_len;
};

// A mask that maskers add to, on the device: a bit for every row and key, and lists of sampled
// entries of a stated length. Belongs to a stream, in whose order it is made, written and freed;
// nothing here waits for it. Does not outlive the visibility.
class MaskDraft {
 public:
  // Without active keys. sampled_capacity: the most sampled entries of a row.
  MaskDraft(const DeviceVisibility& visibility,
            MaskExtent extent,
            std::int64_t sampled_capacity,
            std::uint32_t* faults,
            cudaStream_t stream);
  // As a mask of the same visibility has them.
  MaskDraft(const DeviceVisibility& visibility,
            const DeviceMask& mask,
            std::int64_t sampled_capacity,
            std::uint32_t* faults,
            cudaStream_t stream);

  // The same entries for a larger extent and more sampled entries.
  MaskDraft widened(MaskExtent extent, std::int64_t sampled_capacity) const;

  // Where maskers write.
  const maskerade_cuda_rows& rows() const noexcept { return rows_; }
  MaskExtent extent() const noexcept { return {rows_.batch, rows_.heads}; }
  std::int64_t sampled_capacity() const noexcept { return rows_.sampled_capacity; }
  // Where maskers say what went wrong from now on.
  void set_faults(std::uint32_t* faults) noexcept { rows_.faults = faults; }

  // The mask, in canonical form. bounds: of what it holds; MASKERADE_CUDA_OVERFLOW goes to `faults`
  // when it holds more. The draft is spent.
  DeviceMask finish(const cuda::MaskBounds& bounds, std::uint32_t* faults);

 private:
  struct WithoutEntries {};
  MaskDraft(WithoutEntries,
            const DeviceVisibility& visibility,
            MaskExtent extent,
            std::int64_t sampled_capacity,
            std::uint32_t* faults,
            cudaStream_t stream);

  const DeviceVisibility* visibility_;
  cudaStream_t stream_;
  DeviceBuffer<std::uint64_t> bits_;
  DeviceBuffer<std::uint64_t> sampled_bits_;
  DeviceBuffer<std::int32_t> sampled_counts_;
  DeviceBuffer<std::int32_t> sampled_keys_;
  DeviceBuffer<float> sampled_probabilities_;
  maskerade_cuda_rows rows_ = {};
};

namespace cuda {

// What enqueues the steps of draft_steps.hpp.
void read_mask(const MaskView& from, const maskerade_cuda_rows& to, cudaStream_t stream);
void widen_draft(const maskerade_cuda_rows& from,
                 const maskerade_cuda_rows& to,
                 cudaStream_t stream);
void sort_samples(const maskerade_cuda_rows& draft, const DraftSamples& to, cudaStream_t stream);
void pack_draft(const DraftWords& source, const CombinedArrays& to, cudaStream_t stream);

}  // namespace cuda

}  // namespace maskerade
