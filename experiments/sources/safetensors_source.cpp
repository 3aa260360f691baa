// The kind `safetensors`: tensors of a file, of one layer each.
#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "experiments/sources/detail/data_paths.hpp"
#include "experiments/sources/detail/layers.hpp"
#include "experiments/sources/detail/metadata.hpp"
#include "experiments/sources/source_kinds.hpp"
#include "framework/tensor_files/number_tensor.hpp"
#include "framework/tensor_files/safetensors.hpp"

namespace maskerade {
namespace {

namespace fs = std::filesystem;

// The names of q, k and v of a layer.
struct TensorNames {
  std::string query;
  std::string key;
  std::string value;
};

// What one source of this kind reads.
struct SafetensorsTensors {
  fs::path file;  // absolute
  TensorNames names;
  TensorNames first;  // those of the first layer that the experiment takes of the file
  std::optional<std::string> query_positions;  // nullopt: the tensor or metadata of that name
  StatedLayout layout;
  std::optional<std::int64_t> layer;  // nullopt: what the metadata says, or 0
};

class Safetensors final : public StoredSource {
 public:
  explicit Safetensors(SafetensorsTensors tensors) : tensors_(std::move(tensors)) {}

  const char* kind() const noexcept override { return "safetensors"; }

  SourceDescription describe() const override {
    SourceDescription description{
        .name = tensors_.file.filename().string(),
        .file = tensors_.file.string(),
        .parameters = {{"query", tensors_.names.query},
                       {"key", tensors_.names.key},
                       {"value", tensors_.names.value},
                       {"layout", std::string(name_of(tensors_.layout.layout))}}};
    if (tensors_.query_positions) {
      description.parameters.emplace_back("query_positions", *tensors_.query_positions);
    }
    return description;
  }

  std::vector<fs::path> files() const override { return {tensors_.file}; }
  std::optional<std::int64_t> layer() const noexcept override { return tensors_.layer; }

  std::int64_t query_len() const override {
    return SafetensorsFile::open(tensors_.file)
        .describe(tensors_.names.query, tensors_.layout.layout)
        .length;
  }

  StoredData open() const override {
    const SafetensorsFile file = SafetensorsFile::open(tensors_.file);
    const Metadata metadata(tensors_.file.string(), file.metadata());
    const auto find = [&, layout = tensors_.layout.layout](const std::string& name) {
      return StoredTensor{tensors_.file.string(), name, layout, file.describe(name, layout),
                          [file, name, layout] { return file.tensor(name, layout); }};
    };
    const auto find_all = [&](const TensorNames& names) {
      return StoredQkv{find(names.query), find(names.key), find(names.value)};
    };
    StoredData data{find_all(tensors_.names)};
    check_layers_agree([&] { return find_all(tensors_.first); }, data);
    data.layout_is_stated = tensors_.layout.is_stated;
    data.layout = metadata.layout();
    data.sizes = metadata.sizes();
    data.causal = metadata.causal();
    data.scale = metadata.scale();
    data.layer = tensors_.layer ? tensors_.layer : metadata.layer();
    data.positions = find_positions(file, metadata);
    data.rope = metadata.rope([&] { return rope_frequencies(data.q.description.dim); });
    return data;
  }

 private:
  std::optional<StoredPositions> find_positions(const SafetensorsFile& file,
                                                const Metadata& metadata) const {
    constexpr const char* kUsualName = "query_positions";
    const std::string name = tensors_.file.string();
    const auto of_tensor = [&](const std::string& tensor) {
      return StoredPositions{name, tensor, file.entry(tensor).shape, file.integers(tensor)};
    };
    if (tensors_.query_positions) return of_tensor(*tensors_.query_positions);
    if (file.contains(kUsualName)) return of_tensor(kUsualName);
    std::optional<std::vector<std::int64_t>> values = metadata.query_positions();
    if (!values) return std::nullopt;
    const auto count = static_cast<std::int64_t>(values->size());
    return StoredPositions{name, kUsualName, {count}, std::move(*values)};
  }

  // Throws DataError unless the file has them, for vectors of that many components.
  std::vector<float> rope_frequencies(std::int64_t head_dim) const {
    constexpr const char* kName = "rope_frequencies";
    NumberTensor tensor = read_number_tensor(tensors_.file, kName);
    auto* numbers = std::get_if<std::vector<float>>(&tensor.values);
    if (numbers == nullptr || tensor.shape.size() != 1 || 2 * tensor.shape[0] > head_dim) {
      throw DataError(tensors_.file.string(), kName,
                      fmt::format("it must be a list of floating-point numbers, one for each pair "
                                  "of components that is turned: at most {}",
                                  head_dim / 2));
    }
    return std::move(*numbers);
  }

  SafetensorsTensors tensors_;
};

// The names of the tensors in a file, whose layers are asked for.
std::vector<std::string> tensor_names(const fs::path& file, const TextPosition& position) {
  try {
    std::vector<std::string> names;
    const SafetensorsFile opened = SafetensorsFile::open(file);
    for (const SafetensorsEntry& entry : opened.entries()) names.push_back(entry.name);
    return names;
  } catch (const DataError& error) {
    throw ConfigError(position,
                      std::string("layers is all, which reads the file: ") + error.what());
  }
}

// What a file is called in labels: "" for one that is named, and of those that a pattern stands for
// the stem, or the whole name where stems are the same.
std::string file_label(const fs::path& file, const std::vector<fs::path>& matches, bool is_match) {
  if (!is_match) return "";
  const auto same_stem = std::count_if(matches.begin(), matches.end(), [&](const fs::path& other) {
    return other.stem() == file.stem();
  });
  return (same_stem > 1 ? file.filename() : file.stem()).string();
}

std::vector<NamedSource> read(const Settings& settings) {
  const auto name_template = [&](const std::string& key) {
    if (settings.has(key)) return LayerTemplate(settings.text(key));
    return LayerTemplate((settings.has("layers") ? "layers.{layer}." : "") + key.substr(0, 1));
  };
  const QkvTemplates names = {name_template("query"), name_template("key"), name_template("value")};
  check_layer_marks(settings, names);
  const fs::path path = settings.path("file");
  const std::vector<fs::path> files =
      match_files(path, settings.text("file"), settings.position_of("file"));
  std::vector<NamedSource> sources;
  for (const fs::path& file : files) {
    std::vector<std::string> in_file;
    if (takes_all_layers(settings)) in_file = tensor_names(file, settings.position_of("layers"));
    const std::string label = file_label(file, files, is_pattern(path.filename().string()));
    const auto layers = choose_layers(settings, names.query, in_file, file.string());
    const auto of_layer = [&](std::optional<std::int64_t> layer) {
      return TensorNames{names.query.with(layer), names.key.with(layer), names.value.with(layer)};
    };
    for (const auto layer : layers) {
      SafetensorsTensors tensors{.file = file,
                                 .names = of_layer(layer),
                                 .first = of_layer(layers.front()),
                                 .query_positions = {},
                                 .layout = layout_of(settings),
                                 .layer = layer};
      if (settings.has("query_positions")) {
        tensors.query_positions = name_template("query_positions").with(layer);
      }
      sources.push_back({.label = layer_label(label, layer),
                         .source = std::make_shared<const Safetensors>(std::move(tensors))});
    }
  }
  return sources;
}

}  // namespace

SourceKind safetensors_source() {
  const auto tensor_key = [](const std::string& name, const std::string& meaning) {
    return SettingKey{.name = name,
                      .form = SettingForm::text(),
                      .otherwise = "`" + name.substr(0, 1) + "`; with layers `layers.{layer}." +
                                   name.substr(0, 1) + "`",
                      .meaning = meaning,
                      .example = "\"model.{layer}." + name + "\""};
  };
  return {.name = "safetensors",
          .called = "a safetensors source",
          .needs = "needs a",
          .example = "{kind: safetensors, file: data/*.safetensors}",
          .keys = {{.name = "file",
                    .form = SettingForm::path(),
                    .meaning = "`*` and `?` in the last part, and no other character, stand for "
                               "others: one workload per file that matches, labelled by its name, "
                               "without the ending where that is enough",
                    .example = "data/*.safetensors"},
                   tensor_key("query", "name of the tensor"),
                   tensor_key("key", "the same"),
                   tensor_key("value", "the same"),
                   layers_key("opens the files and looks", "[1, 5]"),
                   layout_key(),
                   {.name = "query_positions",
                    .form = SettingForm::text(),
                    .otherwise = "a tensor or metadata entry of that name, when there is one",
                    .meaning = "name of the tensor with each query's position, for sampled "
                               "queries of a long prompt",
                    .example = "\"model.{layer}.positions\""}},
          .read = read};
}

}  // namespace maskerade
