#include "experiments/config/workload_reader.hpp"

#include <fmt/format.h>

#include <limits>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "experiments/config/accepted_keys.hpp"
#include "experiments/config/expansion.hpp"
#include "experiments/config/scalars.hpp"
#include "experiments/config/source_reader.hpp"

namespace maskerade {
namespace {

std::optional<std::int64_t> read_size(const YamlNode& workload, const std::string& key) {
  const YamlEntry* entry = workload.find(key);
  if (entry == nullptr) return std::nullopt;
  return read_whole(entry->value, key, 1, std::numeric_limits<std::int32_t>::max());
}

// Fills what a generated source may leave out.
void complete_generated(const char* kind, WorkloadSpec& spec) {
  std::vector<std::string> missing;
  if (!spec.query_heads) missing.emplace_back("query_heads");
  if (!spec.query_len) missing.emplace_back("query_len");
  if (!spec.key_len) missing.emplace_back("key_len");
  if (!spec.head_dim) missing.emplace_back("head_dim");
  if (!missing.empty()) {
    throw ConfigError(spec.position,
                      fmt::format("workload \"{}\" has no {}; a {} source takes its sizes from "
                                  "the experiment file",
                                  spec.name, fmt::join(missing, ", "), kind));
  }
  if (!spec.batch) spec.batch = 1;
  if (!spec.kv_heads) spec.kv_heads = spec.query_heads;
  if (!spec.dtype) spec.dtype = DType::kFloat32;
  if (!spec.causal) spec.causal = false;
}

void check_sizes(const WorkloadSpec& spec, const YamlNode& workload) {
  if (spec.query_heads && spec.kv_heads && *spec.query_heads % *spec.kv_heads != 0) {
    throw ConfigError(
        workload.find("kv_heads")->value.position,
        fmt::format(
            "query_heads is {}, which is not a multiple of kv_heads, {}; each kv head serves "
            "the same number of query heads",
            *spec.query_heads, *spec.kv_heads));
  }
  if (spec.causal.value_or(false) && spec.query_len && spec.key_len &&
      *spec.query_len > *spec.key_len) {
    throw ConfigError(workload.find("query_len")->value.position,
                      fmt::format("query_len is {}, above key_len, {}; a causal workload needs "
                                  "query_len <= key_len, or causal: false",
                                  *spec.query_len, *spec.key_len));
  }
  if (std::holds_alternative<StructuredSource>(spec.source) &&
      (*spec.head_dim < 16 || *spec.head_dim % 2 != 0)) {
    throw ConfigError(workload.find("head_dim")->value.position,
                      fmt::format("head_dim is {}; a structured source needs an even one of at "
                                  "least 16",
                                  *spec.head_dim));
  }
}

WorkloadSpec read_sizes(const YamlNode& workload) {
  WorkloadSpec spec;
  spec.batch = read_size(workload, "batch");
  spec.query_heads = read_size(workload, "query_heads");
  spec.kv_heads = read_size(workload, "kv_heads");
  spec.query_len = read_size(workload, "query_len");
  spec.key_len = read_size(workload, "key_len");
  spec.head_dim = read_size(workload, "head_dim");
  if (const YamlEntry* dtype = workload.find("dtype")) {
    spec.dtype = parse_dtype(read_choice(dtype->value, "dtype", accepted_choices("dtype")));
  }
  if (const YamlEntry* causal = workload.find("causal")) {
    spec.causal = read_bool(causal->value, "causal");
  }
  if (const YamlEntry* scale = workload.find("scale")) {
    spec.scale = read_positive(scale->value, "scale");
  }
  spec.queries = read_size(workload, "queries");
  if (const YamlEntry* seed = workload.find("query_seed")) {
    spec.query_seed = read_seed(seed->value, "query_seed");
    if (!spec.queries) {
      throw ConfigError(seed->key_position,
                        "query_seed has no effect without queries; add queries: 64, or remove it");
    }
  }
  return spec;
}

}  // namespace

std::vector<WorkloadSpec> read_workload(const std::string& name,
                                        const TextPosition& position,
                                        const YamlNode& node,
                                        const std::filesystem::path& folder) {
  std::vector<WorkloadSpec> specs;
  for (const Variant& variant : expand_sweeps(node)) {
    const YamlNode& workload = variant.node;
    require_keys(workload, fmt::format("workload \"{}\"", name), accepted_keys("workload"));
    const std::vector<NamedSource> sources = read_source(workload, name, position, folder);
    WorkloadSpec sizes = read_sizes(workload);
    sizes.name = name;
    sizes.position = position;
    for (const NamedSource& source : sources) {
      WorkloadSpec spec = sizes;
      spec.source = source.source;
      if (std::holds_alternative<GaussianSource>(spec.source)) complete_generated("gaussian", spec);
      if (std::holds_alternative<StructuredSource>(spec.source)) {
        complete_generated("structured", spec);
      }
      check_sizes(spec, workload);
      spec.label =
          variant_label(source.label.empty() ? name : name + " " + source.label, variant.swept);
      specs.push_back(std::move(spec));
    }
  }
  return specs;
}

}  // namespace maskerade
