#include "framework/mask/cuda/device_mask.hpp"
#include "framework/tensor/cuda/launch.cuh"

namespace maskerade::cuda {

void find_ranks(const FindRanks& body, std::int64_t tile_rows, cudaStream_t stream) {
  DeviceSteps(stream).for_each(tile_rows, body);
}

void combine_masks(const CombinedWords& source, const CombinedArrays& to, cudaStream_t stream) {
  combine_masks_steps(DeviceSteps(stream), source, to);
}

}  // namespace maskerade::cuda
