#pragma once

#include <cuda_runtime_api.h>

#include <cstddef>
#include <cstdint>

#include "attention/cuda/cuda_backend.hpp"
#include "attention/cuda/detail/attend_arguments.hpp"
#include "attention/cuda/detail/row_plan.hpp"
#include "attention/cuda/detail/tile_plan.hpp"
#include "framework/pipeline/cuda/device_call.hpp"
#include "framework/tensor/cuda/device_buffer.hpp"
#include "framework/tensor/cuda/stream.hpp"

namespace maskerade::cuda {

// One sequence on the device: q, k and v, what attending writes to, and the stream that all work
// goes through.
class DeviceProblem {
 public:
  // Throws as open_cuda_backend.
  DeviceProblem(const AttentionInputs& inputs, const CudaOptions& options);

  // Goes to other inputs of the same sequence (see Backend::show). Waits.
  void show(const AttentionInputs& inputs);

  // Where the caller has the inputs.
  const AttentionInputs& inputs() const noexcept { return inputs_; }
  const AttentionShape& shape() const noexcept { return inputs_.shape; }
  DType dtype() const noexcept { return inputs_.k.dtype; }
  // Bytes of one key and its value.
  std::int64_t key_bytes() const noexcept;
  // Where the device has them.
  const DeviceTensors& tensors() const noexcept { return tensors_; }
  const AttendArguments& arguments() const noexcept { return arguments_; }
  const CudaStream& stream() const noexcept { return stream_; }

  // "sm80" or "plain": the family of the kernels that take such inputs.
  const char* family() const noexcept;
  // The same for tiles, which may have "sm90".
  const char* tile_family() const noexcept;
  bool has_warpgroup_kernel() const noexcept { return has_warpgroup_kernel_; }

  // How many parts the keys of each of some row blocks are split into: a function of the shape
  // alone.
  std::int64_t splits_of(std::int64_t row_blocks) const;
  // Enqueues. The result lies in out() and lse().
  void attend(const TilePlan& plan);
  void attend(const RowPlan& plan);

  // [batch, query_heads, query_len, head_dim] and [batch, query_heads, query_len], of the latest
  // attend().
  const DeviceBuffer<float>& out() const noexcept { return out_; }
  const DeviceBuffer<float>& lse() const noexcept { return lse_; }
  // The same out for a kernel that writes it in the storage type, 16 bits; empty for float32.
  const DeviceBuffer<std::uint16_t>& stored_out() const noexcept { return stored_out_; }
  // Overwrites all three, so that a kernel that leaves some of them out shows.
  void poison() const;

 private:
  // Makes room for `count` keys of each kv head, and copies those that are not there yet.
  void copy_keys(const AttentionInputs& inputs);
  void copy_queries(const TensorView& q);
  bool can_use_warpgroups() const;
  AttendArguments split(std::int64_t row_blocks, std::int64_t rows);

  CudaFamily newest_;
  std::int64_t wanted_room_;  // keys to make room for at once
  AttentionInputs inputs_;
  CudaStream stream_;
  DeviceBuffer<std::byte> q_, k_, v_;  // k_ and v_ are empty when read in place
  std::int64_t room_ = 0;              // keys of each kv head that k_ and v_ have room for
  std::int64_t copied_keys_ = 0;       // of each kv head, in k_ and v_
  DeviceTensors tensors_;
  DeviceBuffer<float> out_, lse_;
  DeviceBuffer<std::uint16_t> stored_out_;
  DeviceBuffer<float> part_out_, part_top_, part_sum_;
  AttendArguments arguments_;
  bool has_warpgroup_kernel_ = false;
};

}  // namespace maskerade::cuda
