#include "experiments/config/workload_rules.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <string>
#include <vector>

#include "experiments/sources/source_kinds.hpp"
#include "framework/base/error.hpp"

namespace maskerade {
namespace {

[[noreturn]] void refuse(const WorkloadSpec& spec, const char* key, const std::string& message) {
  throw ConfigError(spec.position_of(key), fmt::format("workload \"{}\" {}", spec.name, message));
}

void check_shape(const WorkloadSpec& spec, const char* key, const AttentionShape& shape) {
  try {
    shape.validate();
  } catch (const ShapeError& error) {
    throw ConfigError(spec.position_of(key),
                      fmt::format("workload \"{}\": {}", spec.name, error.what()));
  }
}

}  // namespace

void check_decode(const WorkloadSpec& spec) {
  if (!spec.decode_steps) return;
  if (spec.query_len.value_or(1) != 1) {
    refuse(
        spec, "query_len",
        fmt::format("has query_len {}; a decode trace has one query a step: leave query_len out, "
                    "or write 1",
                    *spec.query_len));
  }
  if (spec.queries) {
    refuse(spec, "queries",
           "samples queries; a decode trace has one query a step: leave queries out");
  }
  if (!spec.causal.value_or(true)) {
    refuse(spec, "causal", "is not causal; a decode trace is: write causal: true, or leave it out");
  }
}

void complete_sizes(WorkloadSpec& spec) {
  if (!spec.source->is_generated()) return;
  if (spec.decode_steps) {
    spec.query_len = 1;
    spec.causal = true;
  }
  std::vector<std::string> missing;
  if (!spec.query_heads) missing.emplace_back("query_heads");
  if (!spec.query_len) missing.emplace_back("query_len");
  if (!spec.key_len) missing.emplace_back("key_len");
  if (!spec.head_dim) missing.emplace_back("head_dim");
  if (!missing.empty()) {
    refuse(spec, "",
           fmt::format("has no {}; {} takes its sizes from the experiment file",
                       fmt::join(missing, ", "), find_source_kind(spec.source->kind())->called));
  }
  if (!spec.batch) spec.batch = 1;
  if (!spec.kv_heads) spec.kv_heads = spec.query_heads;
  if (!spec.dtype) spec.dtype = DType::kFloat32;
  if (!spec.causal) spec.causal = false;
}

void check_sizes(const WorkloadSpec& spec, bool queries_are_last) {
  const AttentionShape shape = shape_of(spec);
  check_shape(spec, "kv_heads", {.query_heads = shape.query_heads, .kv_heads = shape.kv_heads});
  check_shape(spec, "", shape);
  if (const GeneratedSource* source = spec.source->as_generated()) {
    if (const auto refusal = source->refusal_of(shape)) {
      refuse(spec, refusal->key.c_str(), refusal->reason);
    }
  }
  if (spec.queries && spec.query_len && *spec.queries > *spec.query_len) {
    refuse(spec, "queries",
           fmt::format("samples {} queries, above query_len {}; sample fewer, or leave queries out "
                       "for all",
                       *spec.queries, *spec.query_len));
  }
  if (spec.decode_steps || !queries_are_last || !spec.query_len || !spec.key_len ||
      *spec.query_len <= *spec.key_len) {
    return;
  }
  if (spec.causal.value_or(false)) {
    refuse(spec, "query_len",
           fmt::format("is causal with query_len {} above key_len {}; a causal workload needs "
                       "query_len <= key_len, or causal: false",
                       *spec.query_len, *spec.key_len));
  }
  if (spec.queries && *spec.queries < *spec.query_len) {
    refuse(spec, "queries",
           fmt::format("samples queries with query_len {} above key_len {}; sampled queries need "
                       "positions among the keys",
                       *spec.query_len, *spec.key_len));
  }
}

AttentionShape shape_of(const WorkloadSpec& spec) noexcept {
  return {.batch = spec.batch.value_or(1),
          .query_heads = spec.query_heads.value_or(spec.kv_heads.value_or(1)),
          .kv_heads = spec.kv_heads.value_or(1),
          .query_len = spec.decode_steps.value_or(spec.query_len.value_or(1)),
          .key_len = spec.key_len.value_or(1) + spec.decode_steps.value_or(0),
          .head_dim = spec.head_dim.value_or(1)};
}

}  // namespace maskerade
