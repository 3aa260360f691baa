#pragma once

#include <cuda_runtime_api.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "framework/mask/cuda/mask_draft.hpp"
#include "framework/pipeline/masker_instance.hpp"
#include "framework/tensor/cuda/device_buffer.hpp"

namespace maskerade {

// The tensors of a problem in device memory, each contiguous.
struct DeviceTensors {
  TensorView q;
  TensorView k;
  TensorView v;
};

// The host's side of one masker's selection on the device: the call that the masker gets, and the
// services that enqueue work for it. Everything given outlives it. Device memory that a service
// allocates is freed in the order of the stream, after the work that uses it.
class DeviceCall {
 public:
  // place: the masker's number in the pipeline, from 0.
  DeviceCall(const AttentionInputs& inputs,
             const DeviceTensors& tensors,
             const MaskerInstance& instance,
             std::uint64_t seed,
             std::uint32_t place,
             cudaStream_t stream);
  DeviceCall(const DeviceCall&) = delete;
  DeviceCall& operator=(const DeviceCall&) = delete;

  // Sets the rows of the call to those of a mask of that extent, without memory: for bounds().
  void set_extent(MaskExtent extent) noexcept;
  // Device memory; see `indexes` and `index_stride` of maskerade_cuda_call.
  void set_indexes(const void* indexes, std::int64_t stride) noexcept;
  // Enqueues the masker's selection, which adds to the draft. Throws PluginError with the masker's
  // own text, or a service's, when one fails.
  void select(const MaskDraft& draft);
  const maskerade_cuda_call& call() const noexcept { return call_; }

  std::int64_t keys_scored() const noexcept { return keys_scored_; }
  std::int64_t bytes_read() const noexcept { return bytes_read_; }
  // Host memory that enqueued copies read: must live until the stream has done them.
  std::vector<std::vector<std::byte>> take_uploads() noexcept { return std::move(uploads_); }

 private:
  friend struct DeviceServices;  // the C functions over this class

  // Throws Error unless the masker declares all of `flags`.
  void require_declared(std::uint32_t flags, const char* service) const;
  void require_rows(std::int64_t row_begin, std::int64_t row_end) const;
  void* allocate(std::size_t bytes);
  void* upload(std::span<const std::byte> source);
  void count(const std::int64_t* begins,
             const std::int64_t* ends,
             bool is_complement,
             std::int64_t* counts);
  void score_rows(std::int64_t row_begin,
                  std::int64_t row_end,
                  float* scores,
                  std::int64_t score_stride);
  void add_top_scores(std::int64_t row_begin,
                      std::int64_t row_end,
                      const float* scores,
                      std::int64_t score_stride,
                      const std::int64_t* counts);
  void add_top_products(const std::int64_t* counts);

  const AttentionInputs& inputs_;
  const DeviceTensors& tensors_;
  const MaskerInstance& instance_;
  std::uint32_t readable_;  // MASKERADE_DEPENDS_*: what the masker may read
  cudaStream_t stream_;
  maskerade_cuda_call call_ = {};
  std::string failure_;
  std::vector<DeviceBuffer<std::byte>> scratch_;
  std::vector<std::vector<std::byte>> uploads_;
  std::int64_t keys_scored_ = 0;
  std::int64_t bytes_read_ = 0;
};

}  // namespace maskerade
