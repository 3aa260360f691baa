#include <fmt/format.h>

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "experiments/config/workload_rules.hpp"
#include "experiments/data/detail/check_tensors.hpp"
#include "experiments/data/detail/source_loaders.hpp"
#include "framework/base/error.hpp"

namespace maskerade {
namespace {

// What is known of a generated workload before q, k and v are, with all its queries.
Workload describe(const WorkloadSpec& stated, const GeneratedSource& source) {
  WorkloadSpec spec = stated;
  check_decode(spec);
  complete_sizes(spec);
  check_sizes(spec, /*queries_are_last=*/true);
  Workload workload;
  workload.shape = shape_of(spec);
  workload.dtype = *spec.dtype;
  workload.causal = *spec.causal;
  workload.scale = choose_scale(spec, std::nullopt, workload.shape.head_dim);
  workload.source = source.describe().name;
  return workload;
}

// Throws ConfigError when a number of q, k or v is beyond what the dtype holds.
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

Workload generate_workload(const WorkloadSpec& spec, const GeneratedSource& source) {
  Workload workload = describe(spec, source);
  const std::int64_t first = workload.shape.key_len - workload.shape.query_len;
  AttentionShape kept = workload.shape;
  if (spec.queries) kept.query_len = *spec.queries;
  check_memory(spec, kept, workload.dtype);
  const std::vector<std::int64_t> rows = choose_rows(spec, workload);
  std::vector<std::int64_t> positions = rows;
  for (std::int64_t& position : positions) position += first;
  QkvTensors tensors = source.generate({.shape = workload.shape,
                                        .dtype = workload.dtype,
                                        .causal = workload.causal,
                                        .scale = workload.scale,
                                        .query_rows = rows,
                                        .query_positions = positions});
  workload.q = std::move(tensors.q);
  workload.k = std::move(tensors.k);
  workload.v = std::move(tensors.v);
  check_finite(spec, workload);
  return workload;
}

}  // namespace maskerade
