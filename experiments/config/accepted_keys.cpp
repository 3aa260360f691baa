#include "experiments/config/accepted_keys.hpp"

#include "attention/backend_table.hpp"
#include "attention/kernel_table.hpp"
#include "framework/base/error.hpp"

namespace maskerade {
namespace {

const std::vector<std::string>& names_of(const std::vector<AcceptedNames>& all,
                                         std::string_view owner) {
  for (const AcceptedNames& accepted : all) {
    if (accepted.owner == owner) return accepted.names;
  }
  throw Error("no accepted names are listed for \"" + std::string(owner) + "\"");
}

}  // namespace

const std::vector<AcceptedNames>& all_accepted_keys() {
  static const std::vector<AcceptedNames> kAll = {
      {"experiment",
       {"name", "seeds", "workload", "workloads", "let", "pipelines", "overrides", "match",
        "devices", "kernels", "check", "measure"}},
      {"workload",
       {"source", "batch", "query_heads", "kv_heads", "query_len", "key_len", "head_dim", "dtype",
        "causal", "scale", "queries", "query_seed", "decode"}},
      {"decode", {"steps"}},
      {"source gaussian", {"kind", "seed", "key_spread"}},
      {"source structured",
       {"kind", "seed", "rank", "contrast", "sinks", "sink_mass", "window", "local_mass", "hitters",
        "hitter_mass", "rope_base"}},
      {"source safetensors",
       {"kind", "file", "query", "key", "value", "layers", "layout", "query_positions"}},
      {"source npy", {"kind", "query", "key", "value", "layers", "layout", "query_positions"}},
      {"pipeline", {"maskers", "preset", "only", "overrides", "match"}},
      {"override", {"layers", "heads", "use"}},
      {"preset", {"summary", "reference", "maskers", "only", "overrides"}},
      {"seeds", {"mask"}},
      {"check", {"oracle_rows", "tolerance", "coverage_seeds", "coverage_rows"}},
      {"measure", {"target", "budget", "cache", "graph"}},
      {"match",
       {"density", "rel_l2_error", "attention_recall", "total_bytes", "total_ms", "parameter",
        "tolerance"}},
  };
  return kAll;
}

const std::vector<AcceptedNames>& all_accepted_choices() {
  static const std::vector<AcceptedNames> kAll = {
      {"kind", {"gaussian", "structured", "safetensors", "npy"}},
      {"layout", {"bhld", "blhd"}},
      {"dtype", {"float32", "float16", "bfloat16"}},
      {"devices", backend_names()},
      {"kernels", kernel_names()},
      {"only", {"prefill", "decode"}},
      {"cache", {"cold", "warm"}},
      {"of", {"visible", "keys"}},
  };
  return kAll;
}

const std::vector<std::string>& accepted_keys(std::string_view mapping) {
  return names_of(all_accepted_keys(), mapping);
}

const std::vector<std::string>& accepted_choices(std::string_view key) {
  return names_of(all_accepted_choices(), key);
}

}  // namespace maskerade
