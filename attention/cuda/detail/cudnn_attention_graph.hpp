#pragma once

#include "attention/cuda/detail/cudnn_graph_builder.hpp"

#if MASKERADE_HAS_CUDNN_HEADERS
#include <limits>

#include "framework/pipeline/attention_inputs.hpp"

namespace maskerade::cuda {

// Dense attention as a graph of cuDNN operations.
struct CudnnAttentionGraph {
  // Names of the graph's inputs and outputs, for the pack of pointers it is executed with. kLse:
  // float32 [batch, query_heads, query_len, 1], natural log. kScale, kMasked (float32), kKeyLen and
  // kQueryLen (int32) are numbers in host memory; the last three are there only where is_masked(),
  // the lengths only where they differ.
  enum Id : std::int64_t { kQ = 1, kK, kV, kOut, kLse, kScale, kMasked, kKeyLen, kQueryLen };

  // The graph in the form that cuDNN's fused engines recognise: a product, its scale, the causal
  // edge, a softmax by maximum and sum, and a product. Reads shape, dtype and visibility of the
  // inputs, not their data. handle: null for a graph that is only asked about. Throws Error with
  // cuDNN's text when cuDNN refuses it, and for float32 inputs.
  static CudnnGraph make(const CudnnFunctions& cudnn,
                         const AttentionInputs& inputs,
                         cudnnHandle_t handle);
  // Whether the graph has the causal edge: false when every query sees every key. Throws Error when
  // causal queries are not at the last positions of the keys.
  static bool is_masked(const AttentionInputs& inputs);
  // The value of kMasked: -inf, or the lowest finite number for versions of cuDNN that need one.
  static float masked_logit(const CudnnFunctions& cudnn);
};

}  // namespace maskerade::cuda
#endif
