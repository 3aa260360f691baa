#include "framework/mask/cuda/mask_draft.hpp"
#include "framework/tensor/cuda/launch.cuh"

namespace maskerade::cuda {

void read_mask(const MaskView& from, const maskerade_cuda_rows& to, cudaStream_t stream) {
  read_mask_steps(DeviceSteps(stream), from, to);
}

void widen_draft(const maskerade_cuda_rows& from,
                 const maskerade_cuda_rows& to,
                 cudaStream_t stream) {
  widen_draft_steps(DeviceSteps(stream), from, to);
}

void sort_samples(const maskerade_cuda_rows& draft, const DraftSamples& to, cudaStream_t stream) {
  sort_samples_steps(DeviceSteps(stream), draft, to);
}

void pack_draft(const DraftWords& source, const CombinedArrays& to, cudaStream_t stream) {
  combine_masks_steps(DeviceSteps(stream), source, to);
}

}  // namespace maskerade::cuda
