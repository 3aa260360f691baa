#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "attention/cuda/detail/attend_arguments.hpp"
#include "framework/pipeline/attention_inputs.hpp"

namespace maskerade::cuda {

// Attention over every visible key by cuDNN's fused kernel, on the device.
class CudnnDense {
 public:
  // Chooses the first of cuDNN's engines that serves the problem. Reads shape, dtype, strides,
  // scale and visibility of the inputs, whose tensors are those on the device; not their data.
  // Throws Error, with cuDNN's text, when cuDNN is not found or does not serve the problem:
  // float32, or causal queries with query_positions.
  CudnnDense(const AttentionInputs& inputs, cudaStream_t stream);
  ~CudnnDense();
  CudnnDense(CudnnDense&&) noexcept;
  CudnnDense& operator=(CudnnDense&&) noexcept;

  // Enqueues attention over q, k and v of `arguments`: out[batch, query_heads, query_len, head_dim]
  // in the storage type of q, and float32 lse to arguments.lse. The other members are not read. The
  // strides must be those that the constructor was given.
  void attend(const AttendArguments& arguments, void* out);

  // Device memory that the kernel works in.
  std::int64_t workspace_bytes() const noexcept;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace maskerade::cuda
