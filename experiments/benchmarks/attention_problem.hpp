#pragma once

#include <map>
#include <memory>
#include <string>

#include "framework/pipeline/attention_inputs.hpp"
#include "framework/tensor/tensor.hpp"

namespace maskerade {

// Random q, k, v of a shape and the inputs that view them.
struct AttentionProblem {
  Tensor q;
  Tensor k;
  Tensor v;
  AttentionInputs inputs;
};

// The problems in use, each held once: cases that time different things on the same tensors share
// them. A problem goes when its last user does.
class ProblemStore {
 public:
  std::shared_ptr<const AttentionProblem> problem(const AttentionShape& shape,
                                                  DType dtype,
                                                  bool causal);

 private:
  std::map<std::string, std::weak_ptr<const AttentionProblem>> problems_;
};

// "1x8x8x2048x2048x64": batch, query_heads, kv_heads, query_len, key_len, head_dim.
std::string shape_name(const AttentionShape& shape);

// A small shape of the same kind: few heads, at most 100 queries and 328 keys, the group kept.
AttentionShape reduced(AttentionShape shape);

}  // namespace maskerade
