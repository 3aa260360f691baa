#include "experiments/config/accepted_keys.hpp"

#include <algorithm>

#include "attention/backend_table.hpp"
#include "attention/kernel_table.hpp"
#include "experiments/sources/source_kinds.hpp"
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

std::vector<AcceptedNames> collect_keys() {
  std::vector<AcceptedNames> all = {
      {"experiment",
       {"name", "seeds", "workload", "workloads", "let", "pipelines", "overrides", "match",
        "devices", "kernels", "check", "measure", "isolate"}},
      {"workload",
       {"source", "batch", "query_heads", "kv_heads", "query_len", "key_len", "head_dim", "dtype",
        "causal", "scale", "queries", "query_seed", "decode"}},
      {"decode", {"steps"}},
      {"source", {"kind"}},
      {"pipeline", {"maskers", "preset", "only", "overrides", "match"}},
      {"override", {"layers", "heads", "use"}},
      {"preset", {"summary", "reference", "maskers", "only", "overrides"}},
      {"seeds", {"mask"}},
      {"check", {"oracle_rows", "tolerance", "coverage_seeds", "coverage_rows"}},
      {"measure", {"target", "budget", "cache", "graph", "cell_timeout", "cell_memory"}},
      {"match",
       {"density", "rel_l2_error", "attention_recall", "total_bytes", "total_ms", "parameter",
        "tolerance", "on_miss"}},
  };
  for (const SourceKind& kind : source_kinds()) {
    AcceptedNames& keys = all.emplace_back(AcceptedNames{"source " + kind.name, {}});
    for (const SettingKey& key : kind.keys) keys.names.push_back(key.name);
  }
  return all;
}

std::vector<AcceptedNames> collect_choices() {
  std::vector<AcceptedNames> all = {
      {"kind", {}},
      {"dtype", {"float32", "float16", "bfloat16"}},
      {"devices", backend_names()},
      {"kernels", kernel_names()},
      {"only", {"prefill", "decode"}},
      {"cache", {"cold", "warm"}},
      {"isolate", {"auto", "true", "false"}},
      {"of", {"visible", "keys"}},
      {"on_miss", {"keep", "fail"}},
  };
  for (const SourceKind& kind : source_kinds()) {
    all.front().names.push_back(kind.name);
    for (const SettingKey& key : kind.keys) {
      const bool is_listed =
          std::any_of(all.begin(), all.end(), [&](const AcceptedNames& accepted) {
            return accepted.owner == key.name && accepted.names == key.form.choices;
          });
      if (!key.form.choices.empty() && !is_listed) all.push_back({key.name, key.form.choices});
    }
  }
  return all;
}

}  // namespace

const std::vector<AcceptedNames>& all_accepted_keys() {
  static const std::vector<AcceptedNames> kAll = collect_keys();
  return kAll;
}

const std::vector<AcceptedNames>& all_accepted_choices() {
  static const std::vector<AcceptedNames> kAll = collect_choices();
  return kAll;
}

const std::vector<std::string>& accepted_keys(std::string_view mapping) {
  return names_of(all_accepted_keys(), mapping);
}

const std::vector<std::string>& accepted_choices(std::string_view key) {
  return names_of(all_accepted_choices(), key);
}

}  // namespace maskerade
