#include "experiments/config/workload_reader.hpp"

#include <fmt/format.h>

#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "experiments/config/accepted_keys.hpp"
#include "experiments/config/expansion.hpp"
#include "experiments/config/scalars.hpp"
#include "experiments/config/source_reader.hpp"
#include "experiments/config/workload_rules.hpp"

namespace maskerade {
namespace {

std::optional<std::int64_t> read_size(const YamlNode& workload, const std::string& key) {
  const YamlEntry* entry = workload.find(key);
  if (entry == nullptr) return std::nullopt;
  return read_whole(entry->value, key, 1, std::numeric_limits<std::int32_t>::max());
}

std::optional<std::int64_t> read_decode_steps(const YamlNode& workload) {
  const YamlEntry* decode = workload.find("decode");
  if (decode == nullptr) return std::nullopt;
  require_keys(decode->value, "decode", accepted_keys("decode"));
  const YamlEntry* steps = decode->value.find("steps");
  if (steps == nullptr) {
    throw ConfigError(decode->value.position, "decode has no steps; write decode: {steps: 64}");
  }
  return read_whole(steps->value, "decode.steps", 1, std::numeric_limits<std::int32_t>::max());
}

WorkloadSpec read_sizes(const YamlNode& workload) {
  WorkloadSpec spec;
  for (const YamlEntry& entry : workload.entries) {
    spec.positions.emplace(entry.key, entry.value.position);
  }
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
    spec.scale = read_scale(scale->value, "scale");
  }
  spec.decode_steps = read_decode_steps(workload);
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
    const std::vector<NamedSource> sources = read_source_of(workload, name, position, folder);
    WorkloadSpec sizes = read_sizes(workload);
    sizes.name = name;
    sizes.position = position;
    for (const NamedSource& source : sources) {
      WorkloadSpec spec = sizes;
      spec.source = source.source;
      check_decode(spec);
      complete_sizes(spec);
      // A file may hold positions of its queries.
      check_sizes(spec, /*queries_are_last=*/spec.source->is_generated());
      spec.label =
          variant_label(source.label.empty() ? name : name + " " + source.label, variant.swept);
      specs.push_back(std::move(spec));
      if (specs.size() > kMaxCells) {
        throw ConfigError(position, fmt::format("workload \"{}\" stands for more than {} "
                                                "workloads; sweep less, or list fewer layers",
                                                name, kMaxCells));
      }
    }
  }
  return specs;
}

}  // namespace maskerade
