#pragma once

#include "attention/cuda/detail/cudnn_graph_builder.hpp"

#if MASKERADE_HAS_CUDNN_HEADERS
#include <limits>

#include "framework/pipeline/attention_inputs.hpp"

namespace maskerade::cuda {

// The tensors of the graph that have memory or a value. lse: natural log of the softmax's sum.
struct CudnnAttentionGraph {
  enum Id : std::int64_t { kQ = 1, kK, kV, kOut, kLse, kScale, kMasked, kKeyLen, kQueryLen };

  // Softmax attention as cuDNN's fused engines know it: a product, its scale, the causal edge, a
  // softmax by maximum and sum, and a product.
  static CudnnGraph make(const CudnnFunctions& cudnn,
                         const AttentionInputs& inputs,
                         cudnnHandle_t handle);
  // Whether the graph masks: a causal problem in which some query does not see every key. Throws
  // Error when the queries do not stand at the last positions.
  static bool is_masked(const AttentionInputs& inputs);
  // What is put in the place of a logit that is not visible.
  static float masked_logit(const CudnnFunctions& cudnn);
};

}  // namespace maskerade::cuda
#endif
