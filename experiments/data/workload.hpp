#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "experiments/config/experiment.hpp"
#include "framework/pipeline/attention_inputs.hpp"
#include "framework/tensor/tensor.hpp"

namespace maskerade {

// The q, k and v of a workload, in host memory, which it owns. They are checked: every number is
// finite and their shapes fit together.
struct Workload {
  // The shape of q, k and v. Where the experiment samples `queries`, query_len counts those that
  // are kept. In a decode trace query_len is the number of steps and key_len that of keys at the
  // end.
  AttentionShape shape;
  std::int64_t decode_steps = 0;  // 0: this is no decode trace
  DType dtype = DType::kFloat32;
  bool causal = false;
  float scale = 1.0F;  // of the logits
  std::int64_t layer = 0;
  bool has_layer = false;  // whether the experiment or the file states it
  // The position of each query, in [0, key_len). Empty: query i stands at key_len - query_len + i.
  std::vector<std::int64_t> query_positions;
  // How positions were applied to q and k. nullptr: the file does not say.
  std::shared_ptr<const Rope> rope;
  std::string source;       // SourceDescription::name: "gaussian seed 1", "qkv.safetensors"
  std::string fingerprint;  // data_fingerprint of inputs()
  Tensor q;                 // [batch, query_heads, query_len, head_dim]
  Tensor k;                 // [batch, kv_heads, key_len, head_dim]
  Tensor v;                 // the same

  // Views of q, k and v, which the workload must outlive, and what each query sees.
  AttentionInputs inputs() const;

  // The following are for decode traces. Their views of k and v begin at the same addresses as
  // those of inputs(), so that no key moves from one step to the next.

  // The shape that results state of a trace: the keys before the first step, and one query.
  AttentionShape prompt_shape() const noexcept;
  // What a pipeline prepares on: the keys before the first step. There must be a query, so that of
  // step 0 stands at the last of these keys; nothing is selected for it.
  AttentionInputs prompt_inputs() const;
  // The query of a step in [0, decode_steps), and the keys up to its position.
  AttentionInputs step_inputs(std::int64_t step) const;
};

// Loads or generates the data of a workload. Throws DataError, with the file and the tensor, when
// the files are wrong, and ConfigError, where the value stands, when a size is missing, or when
// what the experiment says does not fit the data or the machine's memory.
Workload load_workload(const WorkloadSpec& spec);

}  // namespace maskerade
