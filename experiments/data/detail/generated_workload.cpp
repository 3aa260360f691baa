#include <fmt/format.h>

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "experiments/data/detail/sources.hpp"
#include "experiments/data/gaussian.hpp"
#include "experiments/data/structured.hpp"
#include "framework/base/error.hpp"
#include "framework/base/parallel.hpp"

namespace maskerade {
namespace {

std::int64_t require_size(const WorkloadSpec& spec,
                          const char* kind,
                          const char* name,
                          const std::optional<std::int64_t>& size) {
  if (size) return *size;
  throw ConfigError(spec.position,
                    fmt::format("workload \"{}\" has no {}; a {} source takes its sizes from the "
                                "experiment file",
                                spec.name, name, kind));
}

// Everything but q, k and v.
Workload describe(const WorkloadSpec& spec, const char* kind, std::uint64_t seed) {
  Workload workload;
  AttentionShape& shape = workload.shape;
  shape.query_heads = require_size(spec, kind, "query_heads", spec.query_heads);
  shape.query_len = require_size(spec, kind, "query_len", spec.query_len);
  shape.key_len = require_size(spec, kind, "key_len", spec.key_len);
  shape.head_dim = require_size(spec, kind, "head_dim", spec.head_dim);
  shape.batch = spec.batch.value_or(1);
  shape.kv_heads = spec.kv_heads.value_or(shape.query_heads);
  try {
    shape.validate();
  } catch (const ShapeError& error) {
    throw ConfigError(spec.position, fmt::format("workload \"{}\": {}", spec.name, error.what()));
  }
  workload.dtype = spec.dtype.value_or(DType::kFloat32);
  workload.causal = spec.causal.value_or(false);
  check_causal_lengths(spec, workload);
  workload.scale = choose_scale(spec, std::nullopt, shape.head_dim);
  workload.source = fmt::format("{} seed {}", kind, seed);
  return workload;
}

}  // namespace

Workload generate_workload(const WorkloadSpec& spec, const GaussianSource& source) {
  Workload workload = describe(spec, "gaussian", source.seed);
  const std::vector<std::int64_t> rows = choose_rows(spec, workload);
  const AttentionShape& shape = workload.shape;
  workload.q = gaussian_rows(source.seed, GaussianTensor::kQuery, workload.dtype, shape.batch,
                             shape.query_heads, rows, shape.head_dim);
  const auto generate = [&](GaussianTensor tensor) {
    return gaussian_tensor(source.seed, tensor, workload.dtype, shape.batch, shape.kv_heads,
                           shape.key_len, shape.head_dim);
  };
  workload.k = generate(GaussianTensor::kKey);
  workload.v = generate(GaussianTensor::kValue);
  return workload;
}

Workload generate_workload(const WorkloadSpec& spec, const StructuredSource& source) {
  Workload workload = describe(spec, "structured", source.seed);
  const std::int64_t first = workload.shape.key_len - workload.shape.query_len;
  std::vector<std::int64_t> positions = choose_rows(spec, workload);
  for (std::int64_t& position : positions) position += first;
  try {
    StructuredTensors tensors =
        structured_tensors(source, workload.shape, workload.dtype, workload.causal, workload.scale,
                           positions, Threads::all_processors());
    workload.q = std::move(tensors.q);
    workload.k = std::move(tensors.k);
    workload.v = std::move(tensors.v);
  } catch (const ShapeError& error) {
    throw ConfigError(spec.position, fmt::format("workload \"{}\": {}", spec.name, error.what()));
  }
  return workload;
}

}  // namespace maskerade
