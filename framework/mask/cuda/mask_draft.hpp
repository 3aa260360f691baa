#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>

#include "framework/mask/cuda/device_mask.hpp"
#include "framework/mask/cuda/draft_steps.hpp"
#include "framework/mask/cuda/mask_bounds.hpp"

namespace maskerade {

// A copy of a visibility in device memory, which belongs to a stream.
struct DeviceVisibility {
  // Waits until the copy is done. Throws CudaError.
  DeviceVisibility(const Visibility& visibility, cudaStream_t stream);

  DeviceBuffer<std::int64_t> positions;  // [query_len] absolute positions
  DeviceBuffer<std::int32_t> ends;       // [query_len] one past the last visible key
  std::int64_t key_len;
};

// A mask in device memory while maskers add to it: a bit for every row and key, and for each row a
// list of sampled entries of limited length. It belongs to a stream, in whose order it is written,
// read and freed; no function waits for the stream. The visibility must outlive it. `faults` is one
// word of device memory in which kernels set bits (MASKERADE_CUDA_OVERFLOW and others) when
// something goes wrong; the caller owns it, clears it and reads it. All functions throw CudaError.
class MaskDraft {
 public:
  // A draft without active keys. A row has room for `sampled_capacity` sampled entries.
  MaskDraft(const DeviceVisibility& visibility,
            MaskExtent extent,
            std::int64_t sampled_capacity,
            std::uint32_t* faults,
            cudaStream_t stream);
  // A draft with the entries and the extent of a mask of the same visibility.
  MaskDraft(const DeviceVisibility& visibility,
            const DeviceMask& mask,
            std::int64_t sampled_capacity,
            std::uint32_t* faults,
            cudaStream_t stream);

  // A new draft with the same entries, broadcast to a larger extent and with room for at least as
  // many sampled entries.
  MaskDraft widened(MaskExtent extent, std::int64_t sampled_capacity) const;

  // The rows that maskers write to, valid as long as the draft.
  const maskerade_cuda_rows& rows() const noexcept { return rows_; }
  MaskExtent extent() const noexcept { return {rows_.batch, rows_.heads}; }
  std::int64_t sampled_capacity() const noexcept { return rows_.sampled_capacity; }
  // Sets where the kernels of maskers report faults from now on.
  void set_faults(std::uint32_t* faults) noexcept { rows_.faults = faults; }

  // The mask in canonical form, with memory for what `bounds` allow. MASKERADE_CUDA_OVERFLOW is set
  // in `faults`, and the mask lacks entries, when the draft holds more. The draft is used up.
  DeviceMask finish(const cuda::MaskBounds& bounds, std::uint32_t* faults);

 private:
  // Selects the constructor that allocates memory and leaves it unwritten.
  struct UnwrittenMemory {};
  MaskDraft(UnwrittenMemory,
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

// Each enqueues the steps in draft_steps.hpp of the same name; pack_draft() those of
// combine_masks_steps().
void read_mask(const MaskView& from, const maskerade_cuda_rows& to, cudaStream_t stream);
void widen_draft(const maskerade_cuda_rows& from,
                 const maskerade_cuda_rows& to,
                 cudaStream_t stream);
void sort_samples(const maskerade_cuda_rows& draft, const DraftSamples& to, cudaStream_t stream);
void pack_draft(const DraftWords& source, const CombinedArrays& to, cudaStream_t stream);

}  // namespace cuda

}  // namespace maskerade
