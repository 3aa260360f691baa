#pragma once

#include <map>
#include <memory>
#include <string>

#include "framework/pipeline/attention_inputs.hpp"
#include "framework/tensor/tensor.hpp"

namespace maskerade {

// Random q, k, v of one shape, and the attention inputs that view them.
struct AttentionProblem {
  Tensor q;
  Tensor k;
  Tensor v;
  AttentionInputs inputs;
};

// Shares problems between cases that time different work on the same tensors, so that each problem
// is in memory once. The store does not own them: a problem is freed when its last user releases
// it.
class ProblemStore {
 public:
  // The problem of a shape, dtype and causality. It is created unless somebody uses it already; its
  // values are the same every time.
  std::shared_ptr<const AttentionProblem> problem(const AttentionShape& shape,
                                                  DType dtype,
                                                  bool causal);

 private:
  std::map<std::string, std::weak_ptr<const AttentionProblem>> problems_;
};

// A shape in a case's name, "1x8x8x2048x2048x64": batch, query_heads, kv_heads, query_len, key_len,
// head_dim.
std::string shape_name(const AttentionShape& shape);

// A small shape of the same kind for checks: at most 2 batch entries, 2 kv heads and 328 keys, with
// the same group size. Queries are as many as keys if they were before, else at most 100.
AttentionShape reduced(AttentionShape shape);

}  // namespace maskerade
