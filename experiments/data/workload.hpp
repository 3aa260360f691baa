#pragma once

#include <string>

#include "experiments/config/experiment.hpp"
#include "framework/pipeline/attention_inputs.hpp"
#include "framework/tensor/tensor.hpp"

namespace maskerade {

// Q, K, V of one workload, in memory, checked: no NaN or infinity, shapes that fit together.
struct Workload {
  AttentionShape shape;
  DType dtype = DType::kFloat32;
  bool causal = false;
  float scale = 1.0F;
  std::int64_t layer = 0;
  std::string source;  // "gaussian seed 1", "minilm_l6_layer1_qkv.safetensors"
  Tensor q;
  Tensor k;
  Tensor v;

  AttentionInputs inputs() const;
};

// Loads or generates a workload. Throws DataError (file, tensor), or ConfigError at the spec's
// position when what the experiment says does not fit the data or a size is missing.
Workload load_workload(const WorkloadSpec& spec);

}  // namespace maskerade
