#include "experiments/config/workload_reader.hpp"

#include <fmt/format.h>
#include <fnmatch.h>

#include <algorithm>
#include <limits>
#include <system_error>
#include <utility>

#include "experiments/config/expansion.hpp"
#include "experiments/config/scalars.hpp"
#include "framework/base/nearest_name.hpp"

namespace maskerade {
namespace {

namespace fs = std::filesystem;

constexpr const char* kPatternCharacters = "*?";

std::optional<std::int64_t> read_size(const YamlNode& workload, const std::string& key) {
  const YamlEntry* entry = workload.find(key);
  if (entry == nullptr) return std::nullopt;
  return read_whole(entry->value, key, 1, std::numeric_limits<std::int32_t>::max());
}

std::vector<std::string> file_names(const fs::path& folder) {
  std::vector<std::string> names;
  std::error_code code;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder, code)) {
    if (entry.is_regular_file(code)) names.push_back(entry.path().filename().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

// The files that a path with a pattern in its last part stands for.
std::vector<fs::path> match_files(const YamlNode& node, const fs::path& path) {
  const fs::path folder = path.parent_path();
  if (folder.string().find_first_of(kPatternCharacters) != std::string::npos) {
    throw ConfigError(
        node.position,
        fmt::format("file is {}; a pattern (* or ?) may stand in its last part only", node.text));
  }
  const std::string pattern = path.filename().string();
  const bool is_pattern = pattern.find_first_of(kPatternCharacters) != std::string::npos;
  std::error_code code;
  if (!fs::is_directory(folder, code)) {
    throw ConfigError(node.position, fmt::format("there is no folder {}", folder.string()));
  }
  const std::vector<std::string> names = file_names(folder);
  std::vector<fs::path> files;
  for (const std::string& name : names) {
    const bool matches =
        is_pattern ? fnmatch(pattern.c_str(), name.c_str(), FNM_PERIOD) == 0 : name == pattern;
    if (matches) files.push_back(folder / name);
  }
  if (!files.empty()) return files;
  if (is_pattern) {
    throw ConfigError(node.position,
                      fmt::format("no file matches {} in {}", pattern, folder.string()));
  }
  const std::string nearest = nearest_name(pattern, names);
  throw ConfigError(node.position,
                    fmt::format("there is no file {}{}", path.string(),
                                nearest.empty() ? "" : "; did you mean \"" + nearest + "\"?"));
}

struct NamedSource {
  std::string stem;  // of a file that a pattern gave; else empty
  std::variant<GaussianSource, SafetensorsSource> source;
};

std::vector<NamedSource> read_gaussian(const YamlNode& node) {
  require_keys(node, "a gaussian source", {"kind", "seed"});
  GaussianSource source;
  if (const YamlEntry* seed = node.find("seed")) source.seed = read_seed(seed->value, "seed");
  return {{.stem = "", .source = source}};
}

std::vector<NamedSource> read_safetensors(const YamlNode& node, const fs::path& folder) {
  require_keys(node, "a safetensors source", {"kind", "file", "query", "key", "value"});
  const YamlEntry* file = node.find("file");
  if (file == nullptr) {
    throw ConfigError(node.position,
                      "a safetensors source needs a file: {kind: safetensors, file: "
                      "data/*.safetensors}");
  }
  SafetensorsSource source;
  const auto read_name = [&](const std::string& key, std::string& name) {
    if (const YamlEntry* entry = node.find(key)) name = read_text(entry->value, key);
  };
  read_name("query", source.query);
  read_name("key", source.key);
  read_name("value", source.value);
  const fs::path path = (folder / read_text(file->value, "file")).lexically_normal();
  const bool is_pattern =
      path.filename().string().find_first_of(kPatternCharacters) != std::string::npos;
  std::vector<NamedSource> sources;
  for (const fs::path& match : match_files(file->value, path)) {
    source.file = match;
    sources.push_back({.stem = is_pattern ? match.stem().string() : "", .source = source});
  }
  return sources;
}

std::vector<NamedSource> read_source(const YamlNode& workload,
                                     const std::string& name,
                                     const TextPosition& position,
                                     const fs::path& folder) {
  const std::string example = "source: {kind: gaussian, seed: 1}";
  const YamlEntry* entry = workload.find("source");
  if (entry == nullptr) {
    throw ConfigError(position,
                      fmt::format("workload \"{}\" has no source; add {}", name, example));
  }
  const YamlNode& node = entry->value;
  if (!node.is_mapping()) {
    throw ConfigError(node.position, fmt::format("source is {}; it must be a mapping: {}",
                                                 node.describe(), example));
  }
  const YamlEntry* kind = node.find("kind");
  if (kind == nullptr) {
    throw ConfigError(node.position, fmt::format("source has no kind; write {}", example));
  }
  if (read_choice(kind->value, "kind", {"gaussian", "safetensors"}) == "gaussian") {
    return read_gaussian(node);
  }
  return read_safetensors(node, folder);
}

// Fills what a gaussian source may leave out.
void complete_gaussian(WorkloadSpec& spec) {
  std::vector<std::string> missing;
  if (!spec.query_heads) missing.emplace_back("query_heads");
  if (!spec.query_len) missing.emplace_back("query_len");
  if (!spec.key_len) missing.emplace_back("key_len");
  if (!spec.head_dim) missing.emplace_back("head_dim");
  if (!missing.empty()) {
    throw ConfigError(spec.position,
                      fmt::format("workload \"{}\" has no {}; a gaussian source takes its sizes "
                                  "from the experiment file",
                                  spec.name, fmt::join(missing, ", ")));
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
    spec.dtype =
        parse_dtype(read_choice(dtype->value, "dtype", {"float32", "float16", "bfloat16"}));
  }
  if (const YamlEntry* causal = workload.find("causal")) {
    spec.causal = read_bool(causal->value, "causal");
  }
  if (const YamlEntry* scale = workload.find("scale")) {
    spec.scale = read_positive(scale->value, "scale");
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
    require_keys(workload, fmt::format("workload \"{}\"", name),
                 {"source", "batch", "query_heads", "kv_heads", "query_len", "key_len", "head_dim",
                  "dtype", "causal", "scale"});
    const std::vector<NamedSource> sources = read_source(workload, name, position, folder);
    WorkloadSpec sizes = read_sizes(workload);
    sizes.name = name;
    sizes.position = position;
    for (const NamedSource& source : sources) {
      WorkloadSpec spec = sizes;
      spec.source = source.source;
      if (std::holds_alternative<GaussianSource>(spec.source)) complete_gaussian(spec);
      check_sizes(spec, workload);
      spec.label =
          variant_label(source.stem.empty() ? name : name + " " + source.stem, variant.swept);
      specs.push_back(std::move(spec));
    }
  }
  return specs;
}

}  // namespace maskerade
