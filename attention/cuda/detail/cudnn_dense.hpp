#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "attention/cuda/detail/attend_arguments.hpp"
#include "framework/pipeline/attention_inputs.hpp"

namespace maskerade::cuda {

// Attention over every visible key by cuDNN's fused kernel. Its out is of the storage type of q;
// lse is float32, natural log.
class CudnnDense {
 public:
  // Chooses cuDNN's first engine that takes the problem, whose tensors are views of the device's
  // memory with the strides that attend() is going to have. Throws Error, with cuDNN's text, when
  // there is no cuDNN or it does not take it: it takes float16 and bfloat16, and queries that stand
  // at the last positions where it is causal.
  CudnnDense(const AttentionInputs& inputs, cudaStream_t stream);
  ~CudnnDense();
  CudnnDense(CudnnDense&&) noexcept;
  CudnnDense& operator=(CudnnDense&&) noexcept;

  // Enqueues. Of arguments: q, k, v and lse. out: [batch, query_heads, query_len, head_dim] of the
  // storage type. All the same in every call.
  void attend(const AttendArguments& arguments, void* out);

  std::int64_t workspace_bytes() const noexcept;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace maskerade::cuda
