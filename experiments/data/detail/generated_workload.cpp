#include <fmt/format.h>

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "experiments/config/workload_rules.hpp"
#include "experiments/data/detail/check_tensors.hpp"
#include "experiments/data/detail/sources.hpp"
#include "experiments/data/gaussian.hpp"
#include "experiments/data/structured.hpp"
#include "framework/base/error.hpp"
#include "framework/base/parallel.hpp"

namespace maskerade {
namespace {

// Everything but q, k and v.
Workload describe(const WorkloadSpec& stated, const char* kind, std::uint64_t seed) {
  WorkloadSpec spec = stated;
  check_decode(spec);
  complete_sizes(spec);
  check_sizes(spec, /*queries_are_last=*/true);
  Workload workload;
  workload.shape = shape_of(spec);
  workload.dtype = *spec.dtype;
  workload.causal = *spec.causal;
  workload.scale = choose_scale(spec, std::nullopt, workload.shape.head_dim);
  workload.source = fmt::format("{} seed {}", kind, seed);
  return workload;
}

// Throws ConfigError when a number is beyond what the dtype holds.
void check_finite(const WorkloadSpec& spec, const Workload& workload) {
  for (const auto& [name, tensor] :
       {std::pair("q", &workload.q), std::pair("k", &workload.k), std::pair("v", &workload.v)}) {
    const auto bad = find_not_finite(tensor->view(), TensorLayout::kBhld);
    if (!bad) continue;
    throw ConfigError(spec.position_of("scale"),
                      fmt::format("workload \"{}\": element {} of {} is {} in {}; queries grow as "
                                  "1 / scale, which is {}: state a larger one",
                                  spec.name, bad->index, name, bad->what, name_of(workload.dtype),
                                  workload.scale));
  }
}

}  // namespace

Workload generate_workload(const WorkloadSpec& spec, const GaussianSource& source) {
  Workload workload = describe(spec, "gaussian", source.seed);
  if (source.key_spread > 0) {
    workload.source += fmt::format(", key_spread {}", source.key_spread);
  }
  const std::vector<std::int64_t> rows = choose_rows(spec, workload);
  check_memory(spec, workload);
  const AttentionShape& shape = workload.shape;
  workload.q = gaussian_rows(source.seed, GaussianTensor::kQuery, workload.dtype, shape.batch,
                             shape.query_heads, rows, shape.head_dim);
  const auto generate = [&](GaussianTensor tensor) {
    const bool is_key = tensor == GaussianTensor::kKey;
    return gaussian_tensor(source.seed, tensor, workload.dtype, shape.batch, shape.kv_heads,
                           shape.key_len, shape.head_dim, is_key ? source.key_spread : 0);
  };
  workload.k = generate(GaussianTensor::kKey);
  workload.v = generate(GaussianTensor::kValue);
  check_finite(spec, workload);
  return workload;
}

Workload generate_workload(const WorkloadSpec& spec, const StructuredSource& source) {
  Workload workload = describe(spec, "structured", source.seed);
  const std::int64_t first = workload.shape.key_len - workload.shape.query_len;
  std::vector<std::int64_t> positions = choose_rows(spec, workload);
  for (std::int64_t& position : positions) position += first;
  check_memory(spec, workload);
  StructuredTensors tensors =
      structured_tensors(source, workload.shape, workload.dtype, workload.causal, workload.scale,
                         positions, Threads::all_processors());
  workload.q = std::move(tensors.q);
  workload.k = std::move(tensors.k);
  workload.v = std::move(tensors.v);
  check_finite(spec, workload);
  return workload;
}

}  // namespace maskerade
