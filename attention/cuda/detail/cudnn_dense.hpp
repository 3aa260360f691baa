#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "attention/cuda/detail/attend_arguments.hpp"
#include "framework/pipeline/attention_inputs.hpp"

namespace maskerade::cuda {

// Attention over every visible key by cuDNN's fused kernel. Its out is of the storage type of q
// until it is downloaded; lse is float32, natural log.
class CudnnDense {
 public:
  // Chooses cuDNN's first engine that takes the problem. Throws Error, with cuDNN's text, when
  // there is no cuDNN or it does not take it: it takes float16 and bfloat16, and queries that stand
  // at the last positions where it is causal.
  CudnnDense(const AttentionInputs& inputs, cudaStream_t stream);
  ~CudnnDense();
  CudnnDense(CudnnDense&&) noexcept;
  CudnnDense& operator=(CudnnDense&&) noexcept;

  // Enqueues. Of arguments: q, k, v and lse, the same in every call.
  void attend(const AttendArguments& arguments);
  // Sets every byte of out.
  void fill_out(int value);
  // [batch, query_heads, query_len, head_dim], widened. Waits.
  void download_out(std::span<float> out) const;

  std::int64_t workspace_bytes() const noexcept;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace maskerade::cuda
