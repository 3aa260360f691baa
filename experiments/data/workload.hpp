#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "experiments/config/experiment.hpp"
#include "framework/pipeline/attention_inputs.hpp"
#include "framework/tensor/tensor.hpp"

namespace maskerade {

// Q, K, V of one workload, in memory, checked: no NaN or infinity, shapes that fit together.
struct Workload {
  AttentionShape shape;  // query_len counts the rows that are kept when `queries` samples them
  DType dtype = DType::kFloat32;
  bool causal = false;
  float scale = 1.0F;
  std::int64_t layer = 0;
  bool has_layer = false;  // whether the experiment or the file states it
  // Of each query, in [0, key_len); empty: query i stands at key_len - query_len + i.
  std::vector<std::int64_t> query_positions;
  std::string source;       // "gaussian seed 1", "minilm_l6_layer1_qkv.safetensors"
  std::string fingerprint;  // data_fingerprint of inputs()
  Tensor q;
  Tensor k;
  Tensor v;

  AttentionInputs inputs() const;
};

// Loads or generates a workload. Throws DataError (file, tensor), or ConfigError at the spec's
// position when what the experiment says does not fit the data or a size is missing.
Workload load_workload(const WorkloadSpec& spec);

}  // namespace maskerade
