#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "attention/cuda/detail/attend_arguments.hpp"
#include "framework/pipeline/attention_inputs.hpp"

namespace maskerade::cuda {

// Attention over every visible key by cuDNN's fused kernel, on the device. Owns its out, which is
// stored as q is and widened when it is downloaded; lse is written to the caller's memory.
class CudnnDense {
 public:
  // Chooses the first of cuDNN's engines that serves the problem. Reads shape, dtype, scale and
  // visibility of the inputs, not their data. Throws Error, with cuDNN's text, when cuDNN is not
  // found or does not serve the problem: float32, or causal queries with query_positions.
  CudnnDense(const AttentionInputs& inputs, cudaStream_t stream);
  ~CudnnDense();
  CudnnDense(CudnnDense&&) noexcept;
  CudnnDense& operator=(CudnnDense&&) noexcept;

  // Enqueues attention over q, k and v of `arguments`; lse is written to arguments.lse. These
  // pointers must be the same in every call; the other members are not read.
  void attend(const AttendArguments& arguments);
  // Enqueues setting every byte of out to `value`, so that a test sees what is not written.
  void fill_out(int value);
  // Copies out[batch, query_heads, query_len, head_dim] to host memory, widened. Waits.
  void download_out(std::span<float> out) const;

  // Device memory that the kernel works in.
  std::int64_t workspace_bytes() const noexcept;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace maskerade::cuda
