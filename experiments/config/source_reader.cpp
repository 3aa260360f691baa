#include "experiments/config/source_reader.hpp"

#include <fmt/format.h>
#include <fnmatch.h>

#include <algorithm>
#include <charconv>
#include <limits>
#include <optional>
#include <string_view>
#include <system_error>
#include <utility>

#include "experiments/config/accepted_keys.hpp"
#include "experiments/config/scalars.hpp"
#include "framework/base/nearest_name.hpp"
#include "framework/tensor_files/safetensors.hpp"

namespace maskerade {
namespace {

namespace fs = std::filesystem;

constexpr const char* kPatternCharacters = "*?";
constexpr std::string_view kLayerMark = "{layer}";
constexpr const char* kExample = "source: {kind: gaussian, seed: 1}";

std::vector<std::string> file_names(const fs::path& folder) {
  std::vector<std::string> names;
  std::error_code code;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder, code)) {
    if (entry.is_regular_file(code)) names.push_back(entry.path().filename().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

bool is_pattern(const std::string& text) {
  return text.find_first_of(kPatternCharacters) != std::string::npos;
}

void require_folder(const YamlNode& node, const fs::path& folder) {
  std::error_code code;
  if (fs::is_directory(folder, code)) return;
  throw ConfigError(node.position, fmt::format("there is no folder {}", folder.string()));
}

// Throws ConfigError unless there is such a file.
void require_file(const YamlNode& node, const fs::path& file) {
  std::error_code code;
  const fs::file_status status = fs::status(file, code);
  if (fs::is_regular_file(status)) return;
  if (fs::exists(status)) {
    throw ConfigError(node.position,
                      fmt::format("{} is {}; name a file", file.string(),
                                  fs::is_directory(status) ? "a folder" : "no regular file"));
  }
  require_folder(node, file.parent_path());
  const std::string nearest =
      nearest_name(file.filename().string(), file_names(file.parent_path()));
  throw ConfigError(node.position,
                    fmt::format("there is no file {}{}", file.string(),
                                nearest.empty() ? "" : "; did you mean \"" + nearest + "\"?"));
}

// A pattern of * and ? for fnmatch, which knows more special characters.
std::string escape_pattern(const std::string& pattern) {
  std::string escaped;
  for (const char c : pattern) {
    if (c == '[' || c == '\\') escaped += '\\';
    escaped += c;
  }
  return escaped;
}

// The files that a path with a pattern in its last part stands for.
std::vector<fs::path> match_files(const YamlNode& node, const fs::path& path) {
  const fs::path folder = path.parent_path();
  if (is_pattern(folder.string())) {
    throw ConfigError(
        node.position,
        fmt::format("file is {}; a pattern (* or ?) may stand in its last part only", node.text));
  }
  const std::string pattern = path.filename().string();
  if (!is_pattern(pattern)) {
    require_file(node, path);
    return {path};
  }
  require_folder(node, folder);
  std::vector<fs::path> files;
  const std::string escaped = escape_pattern(pattern);
  for (const std::string& name : file_names(folder)) {
    if (fnmatch(escaped.c_str(), name.c_str(), FNM_PERIOD) != 0) continue;
    refuse_control_characters(name, node.position);
    files.push_back(folder / name);
  }
  if (files.empty()) {
    throw ConfigError(node.position,
                      fmt::format("no file matches {} in {}", pattern, folder.string()));
  }
  return files;
}

// A text with {layer} in it.
class LayerTemplate {
 public:
  LayerTemplate() = default;
  explicit LayerTemplate(std::string text) : text_(std::move(text)) {}

  const std::string& text() const noexcept { return text_; }
  bool has_layer() const noexcept { return text_.find(kLayerMark) != std::string::npos; }

  std::string with(std::optional<std::int64_t> layer) const {
    if (!layer) return text_;
    std::string result = text_;
    const std::string number = std::to_string(*layer);
    for (std::size_t at = result.find(kLayerMark); at != std::string::npos;
         at = result.find(kLayerMark, at + number.size())) {
      result.replace(at, kLayerMark.size(), number);
    }
    return result;
  }

  // The layer that gives this name, if one does.
  std::optional<std::int64_t> layer_of(const std::string& name) const {
    const std::size_t at = text_.find(kLayerMark);
    if (at == std::string::npos || name.size() <= at) return std::nullopt;
    std::int32_t layer = 0;
    const auto [end, status] = std::from_chars(name.data() + at, name.data() + name.size(), layer);
    if (status != std::errc{} || layer < 0 || with(layer) != name) return std::nullopt;
    return layer;
  }

 private:
  std::string text_;
};

// `layers` of a source: a list, or all that the files have.
struct LayersNode {
  const YamlNode* node = nullptr;  // null when not given
  bool all = false;
  std::vector<std::int64_t> listed;
};

LayersNode read_layers(const YamlNode& source) {
  const YamlEntry* entry = source.find("layers");
  if (entry == nullptr) return {};
  LayersNode layers{.node = &entry->value};
  const auto listed = read_numbers_or_all(entry->value, "layers");
  layers.all = !listed;
  layers.listed = listed.value_or(std::vector<std::int64_t>{});
  return layers;
}

// The layers to read, or one nullopt when the source has none. `names` are what `all` looks at.
std::vector<std::optional<std::int64_t>> choose_layers(const LayersNode& layers,
                                                       const LayerTemplate& query,
                                                       const std::vector<std::string>& names,
                                                       const std::string& place) {
  if (layers.node == nullptr) return {std::nullopt};
  if (!layers.all) return {layers.listed.begin(), layers.listed.end()};
  std::vector<std::optional<std::int64_t>> found;
  for (const std::string& name : names) {
    if (const auto layer = query.layer_of(name)) found.push_back(layer);
  }
  if (found.empty()) {
    throw ConfigError(
        layers.node->position,
        fmt::format("layers is all, but nothing in {} is named {}", place, query.text()));
  }
  std::sort(found.begin(), found.end());
  return found;
}

// Throws ConfigError unless exactly the sources with layers have {layer} in query, key and value.
void check_layer_marks(const YamlNode& source,
                       const LayersNode& layers,
                       const LayerTemplate& query,
                       const LayerTemplate& key,
                       const LayerTemplate& value) {
  for (const auto& [name, text] :
       {std::pair("query", &query), std::pair("key", &key), std::pair("value", &value)}) {
    if (text->has_layer() == (layers.node != nullptr)) continue;
    const YamlEntry* entry = source.find(name);
    const TextPosition& position = entry == nullptr ? source.position : entry->value.position;
    if (layers.node == nullptr) {
      throw ConfigError(position, fmt::format("{} is {}, but the source has no layers; add layers: "
                                              "[0, 1], or layers: all",
                                              name, text->text()));
    }
    throw ConfigError(position, fmt::format("{} is {}; a source with layers needs {{layer}} in it, "
                                            "such as \"layers.{{layer}}.{}\"",
                                            name, text->text(), name[0]));
  }
}

TensorLayout read_layout(const YamlNode& source) {
  const YamlEntry* layout = source.find("layout");
  if (layout == nullptr) return TensorLayout::kBhld;
  return read_choice(layout->value, "layout", accepted_choices("layout")) == "blhd"
             ? TensorLayout::kBlhd
             : TensorLayout::kBhld;
}

// What a file is called in labels: "" for one that is named, and of those that a pattern gave the
// stem, or the whole name where stems are the same.
std::string file_label(const fs::path& file, const std::vector<fs::path>& matches, bool is_match) {
  if (!is_match) return "";
  const auto same_stem = std::count_if(matches.begin(), matches.end(), [&](const fs::path& other) {
    return other.stem() == file.stem();
  });
  return (same_stem > 1 ? file.filename() : file.stem()).string();
}

std::string join_label(const std::string& file, std::optional<std::int64_t> layer) {
  if (!layer) return file;
  return fmt::format("{}{}layer={}", file, file.empty() ? "" : " ", *layer);
}

std::vector<NamedSource> read_gaussian(const YamlNode& node) {
  require_keys(node, "a gaussian source", accepted_keys("source gaussian"));
  GaussianSource source;
  if (const YamlEntry* seed = node.find("seed")) source.seed = read_seed(seed->value, "seed");
  if (const YamlEntry* spread = node.find("key_spread")) {
    source.key_spread = read_positive(spread->value, "key_spread");
    // Rationale: beyond it, keys leave the range of float16.
    if (source.key_spread > 1.5) {
      throw ConfigError(
          spread->value.position,
          fmt::format("key_spread is {}; it must be in (0, 1.5]", spread->value.describe()));
    }
  }
  return {{.label = "", .source = source}};
}

std::vector<NamedSource> read_structured(const YamlNode& node) {
  require_keys(node, "a structured source", accepted_keys("source structured"));
  StructuredSource source;
  const auto read_count = [&](const char* key, std::int64_t minimum, std::int64_t& value) {
    if (const YamlEntry* entry = node.find(key)) {
      value = read_whole(entry->value, key, minimum, std::numeric_limits<std::int32_t>::max());
    }
  };
  const auto read_part = [&](const char* key, double& value) {
    const YamlEntry* entry = node.find(key);
    if (entry == nullptr) return;
    const bool zero = entry->value.is_scalar() && !entry->value.quoted &&
                      (entry->value.text == "0" || entry->value.text == "0%");
    value = zero ? 0 : read_share(entry->value, key);
  };
  const auto read_number = [&](const char* key, double maximum, double& value) {
    const YamlEntry* entry = node.find(key);
    if (entry == nullptr) return;
    value = read_positive(entry->value, key);
    if (value > maximum) {
      throw ConfigError(entry->value.position, fmt::format("{} is {}; it must be at most {}", key,
                                                           entry->value.text, maximum));
    }
  };
  if (const YamlEntry* seed = node.find("seed")) source.seed = read_seed(seed->value, "seed");
  read_count("rank", 1, source.rank);
  read_number("contrast", 10, source.contrast);
  read_count("sinks", 0, source.sinks);
  read_part("sink_mass", source.sink_mass);
  read_count("window", 1, source.window);
  read_part("local_mass", source.local_mass);
  read_part("hitters", source.hitters);
  read_part("hitter_mass", source.hitter_mass);
  read_number("rope_base", 1e12, source.rope_base);
  const double aimed = source.sink_mass + source.local_mass + source.hitter_mass;
  if (aimed > 0.99) {
    throw ConfigError(node.position,
                      fmt::format("sink_mass, local_mass and hitter_mass sum to {:.4g}%; they must "
                                  "leave at least 1% for the other keys",
                                  100 * aimed));
  }
  return {{.label = "", .source = source}};
}

std::vector<NamedSource> read_safetensors(const YamlNode& node, const fs::path& folder) {
  require_keys(node, "a safetensors source", accepted_keys("source safetensors"));
  const YamlEntry* file = node.find("file");
  if (file == nullptr) {
    throw ConfigError(node.position,
                      "a safetensors source needs a file: {kind: safetensors, file: "
                      "data/*.safetensors}");
  }
  const LayersNode layers = read_layers(node);
  const auto read_name = [&](const std::string& key) {
    const YamlEntry* entry = node.find(key);
    if (entry != nullptr) return LayerTemplate(read_text(entry->value, key));
    return LayerTemplate((layers.node == nullptr ? "" : "layers.{layer}.") + key.substr(0, 1));
  };
  const LayerTemplate query = read_name("query");
  const LayerTemplate key = read_name("key");
  const LayerTemplate value = read_name("value");
  check_layer_marks(node, layers, query, key, value);
  std::optional<LayerTemplate> positions;
  if (node.find("query_positions") != nullptr) positions = read_name("query_positions");
  const TensorLayout layout = read_layout(node);
  const fs::path path = (folder / read_text(file->value, "file")).lexically_normal();
  std::vector<NamedSource> sources;
  const std::vector<fs::path> matches = match_files(file->value, path);
  for (const fs::path& match : matches) {
    std::vector<std::string> names;
    if (layers.all) {
      try {
        const SafetensorsFile opened = SafetensorsFile::open(match);
        for (const SafetensorsEntry& entry : opened.entries()) names.push_back(entry.name);
      } catch (const DataError& error) {
        throw ConfigError(layers.node->position,
                          fmt::format("layers is all, which reads the file: {}", error.what()));
      }
    }
    const std::string label = file_label(match, matches, is_pattern(path.filename().string()));
    for (const auto layer : choose_layers(layers, query, names, match.string())) {
      SafetensorsSource source{.file = match,
                               .query = query.with(layer),
                               .key = key.with(layer),
                               .value = value.with(layer),
                               .layout = layout,
                               .layer = layer};
      if (positions) source.query_positions = positions->with(layer);
      sources.push_back({.label = join_label(label, layer), .source = std::move(source)});
    }
  }
  return sources;
}

std::vector<NamedSource> read_npy(const YamlNode& node, const fs::path& folder) {
  require_keys(node, "an npy source", accepted_keys("source npy"));
  const LayersNode layers = read_layers(node);
  const auto read_path = [&](const std::string& key) {
    const YamlEntry* entry = node.find(key);
    if (entry == nullptr) {
      throw ConfigError(node.position,
                        fmt::format("an npy source has one array per file and needs {}: {{kind: "
                                    "npy, query: q.npy, key: k.npy, value: v.npy}}",
                                    key));
    }
    return LayerTemplate((folder / read_text(entry->value, key)).lexically_normal().string());
  };
  const LayerTemplate query = read_path("query");
  const LayerTemplate key = read_path("key");
  const LayerTemplate value = read_path("value");
  check_layer_marks(node, layers, query, key, value);
  std::optional<LayerTemplate> positions;
  if (node.find("query_positions") != nullptr) positions = read_path("query_positions");
  const TensorLayout layout = read_layout(node);
  const fs::path query_folder = fs::path(query.text()).parent_path();
  std::vector<std::string> names;
  if (layers.all) {
    require_folder(node.find("query")->value, query_folder);
    for (const std::string& name : file_names(query_folder)) {
      names.push_back((query_folder / name).string());
    }
  }
  const auto file = [&](const LayerTemplate& text, const char* name,
                        std::optional<std::int64_t> layer) {
    fs::path path = text.with(layer);
    require_file(node.find(name)->value, path);
    return path;
  };
  std::vector<NamedSource> sources;
  for (const auto layer : choose_layers(layers, query, names, query_folder.string())) {
    NpySource source{.query = file(query, "query", layer),
                     .key = file(key, "key", layer),
                     .value = file(value, "value", layer),
                     .layout = layout,
                     .layer = layer};
    if (positions) source.query_positions = file(*positions, "query_positions", layer);
    sources.push_back({.label = join_label("", layer), .source = std::move(source)});
  }
  return sources;
}

}  // namespace

std::vector<NamedSource> read_source(const YamlNode& workload,
                                     const std::string& name,
                                     const TextPosition& position,
                                     const fs::path& folder) {
  const YamlEntry* entry = workload.find("source");
  if (entry == nullptr) {
    throw ConfigError(position,
                      fmt::format("workload \"{}\" has no source; add {}", name, kExample));
  }
  const YamlNode& node = entry->value;
  if (!node.is_mapping()) {
    throw ConfigError(node.position, fmt::format("source is {}; it must be a mapping: {}",
                                                 node.describe(), kExample));
  }
  const YamlEntry* kind = node.find("kind");
  if (kind == nullptr) {
    throw ConfigError(node.position, fmt::format("source has no kind; write {}", kExample));
  }
  const std::string chosen = read_choice(kind->value, "kind", accepted_choices("kind"));
  if (chosen == "gaussian") return read_gaussian(node);
  if (chosen == "structured") return read_structured(node);
  if (chosen == "npy") return read_npy(node, folder);
  return read_safetensors(node, folder);
}

}  // namespace maskerade
