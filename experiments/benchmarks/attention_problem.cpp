#include "experiments/benchmarks/attention_problem.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "experiments/benchmarks/random_values.hpp"

namespace maskerade {

std::shared_ptr<const AttentionProblem> ProblemStore::problem(const AttentionShape& shape,
                                                              DType dtype,
                                                              bool causal) {
  auto& known = problems_[fmt::format("{} {} {}", shape_name(shape), name_of(dtype), causal)];
  if (const auto problem = known.lock()) return problem;
  const TensorExtent queries{shape.batch, shape.query_heads, shape.query_len, shape.head_dim};
  const TensorExtent keys{shape.batch, shape.kv_heads, shape.key_len, shape.head_dim};
  const auto problem = std::make_shared<AttentionProblem>(
      AttentionProblem{random_tensor(1, dtype, queries),
                       random_tensor(2, dtype, keys),
                       random_tensor(3, dtype, keys),
                       {.shape = shape,
                        .scale = 1 / std::sqrt(static_cast<float>(shape.head_dim)),
                        .visibility = causal ? Visibility::causal(shape.query_len, shape.key_len)
                                             : Visibility::all(shape.query_len, shape.key_len)}});
  problem->inputs.q = problem->q.view();
  problem->inputs.k = problem->k.view();
  problem->inputs.v = problem->v.view();
  known = problem;
  return problem;
}

std::string shape_name(const AttentionShape& shape) {
  return fmt::format("{}x{}x{}x{}x{}x{}", shape.batch, shape.query_heads, shape.kv_heads,
                     shape.query_len, shape.key_len, shape.head_dim);
}

AttentionShape reduced(AttentionShape shape) {
  const std::int64_t group = shape.group_size();
  shape.batch = std::min<std::int64_t>(shape.batch, 2);
  shape.kv_heads = std::min<std::int64_t>(shape.kv_heads, 2);
  shape.query_heads = group * shape.kv_heads;
  const bool square = shape.query_len == shape.key_len;
  shape.key_len = std::min<std::int64_t>(shape.key_len, 328);
  shape.query_len = square ? shape.key_len : std::min<std::int64_t>(shape.query_len, 100);
  return shape;
}

}  // namespace maskerade
