#pragma once

#include <cuda_runtime_api.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "framework/base/parallel.hpp"
#include "framework/mask/cuda/device_mask.hpp"
#include "framework/mask/cuda/mask_bounds.hpp"
#include "framework/mask/cuda/mask_draft.hpp"
#include "framework/pipeline/cuda/device_call.hpp"
#include "framework/pipeline/pipeline.hpp"
#include "framework/tensor/cuda/stream.hpp"

namespace maskerade {

// A mask that was selected on the device, or uploaded to it.
class DeviceSelection {
 public:
  // Copies a mask and waits until it is there.
  static DeviceSelection upload(const Mask& mask, cudaStream_t stream);

  const DeviceMask& mask() const noexcept { return mask_; }
  // The most that the mask can hold, from the bounds that the maskers stated.
  const cuda::MaskBounds& bounds() const noexcept { return bounds_; }

  // Waits for the selection. Throws Error when a masker broke its word: it added more than it had
  // stated, or a number that is no probability. Then the mask is not the pipeline's.
  void check() const;
  // What the maskers did, in list order. Waits, and throws as check().
  std::vector<MaskerReport> reports() const;

 private:
  friend class DevicePipeline;

  DeviceMask mask_;
  cuda::MaskBounds bounds_;
  std::vector<MaskerReport> reports_;
  std::vector<CudaEvent> borders_;      // of the maskers; none: their times stand in the reports
  DeviceBuffer<std::uint32_t> faults_;  // [maskers + 1]: what went wrong in each, and in packing
  std::vector<std::vector<std::byte>> uploads_;
};

// A prepared pipeline that selects on the device. Maskers with the cuda extension run there, one
// after another, on a mask that stays in device memory. For each other masker the mask so far is
// downloaded, the masker runs on the CPU, and the result is uploaded. Where heads take routes, all
// maskers run on the CPU. The mask is that of the CPU, bit for bit. Everything given outlives it.
// [one thread]
class DevicePipeline {
 public:
  DevicePipeline(const DeviceTensors& tensors, cudaStream_t stream)
      : tensors_(&tensors), stream_(stream) {}
  // Asks each masker for its bounds on the device, uploads the indexes of those that run there, and
  // waits until they have arrived (part of the timed stages `prepare` and `append`). To be called
  // first, and again when the pipeline was appended to or truncated.
  void prepare(const PreparedPipeline& prepared);
  // Where the maskers run: "cuda", "cpu, uploaded" or "cuda; cpu, uploaded: NAME, NAME".
  std::string where() const;
  bool is_all_on_device() const noexcept;
  // Enqueues the selection; waits for the device only where a masker on the CPU needs the mask so
  // far. Throws PluginError with the masker's own text when one fails.
  DeviceSelection select(const Threads& threads) const;

 private:
  // A masker that runs on the device.
  struct DeviceStage {
    DeviceBuffer<std::byte> indexes;  // those of all (batch, kv head), index_stride bytes apart
    std::int64_t index_stride = 0;
    maskerade_cuda_bounds bounds{};
  };

  MaskExtent extent_after(MaskExtent before, std::size_t i) const;
  void upload_indexes(const MaskerInstance& instance, DeviceStage& to) const;
  cuda::MaskBounds largest(MaskExtent extent) const;
  cuda::MaskBounds added_by(std::size_t i, MaskExtent extent) const;

  const PreparedPipeline* prepared_ = nullptr;
  const DeviceTensors* tensors_;
  cudaStream_t stream_;
  std::optional<DeviceVisibility> visibility_;
  std::vector<std::optional<DeviceStage>> stages_;  // of each instance; nullopt: it runs on the CPU
};

}  // namespace maskerade
