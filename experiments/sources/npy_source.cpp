// The kind `npy`: one array a file.
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "experiments/sources/detail/data_paths.hpp"
#include "experiments/sources/detail/layers.hpp"
#include "experiments/sources/source_kinds.hpp"
#include "framework/tensor_files/npy.hpp"

namespace maskerade {
namespace {

namespace fs = std::filesystem;

// The files of q, k and v of a layer.
struct QkvPaths {
  fs::path query;
  fs::path key;
  fs::path value;
};

// What one source of this kind reads. Paths are absolute.
struct NpyFiles {
  QkvPaths paths;
  QkvPaths first;  // those of the first layer that the experiment takes
  std::optional<fs::path> query_positions;
  StatedLayout layout;
  std::optional<std::int64_t> layer;  // nullopt: 0
};

class Npy final : public StoredSource {
 public:
  explicit Npy(NpyFiles files) : files_(std::move(files)) {}

  const char* kind() const noexcept override { return "npy"; }

  SourceDescription describe() const override {
    SourceDescription description{
        .name = files_.paths.query.filename().string(),
        .file = files_.paths.query.string(),
        .parameters = {{"key", files_.paths.key.string()},
                       {"value", files_.paths.value.string()},
                       {"layout", std::string(name_of(files_.layout.layout))}}};
    if (files_.query_positions) {
      description.parameters.emplace_back("query_positions", files_.query_positions->string());
    }
    return description;
  }

  std::vector<fs::path> files() const override {
    std::vector<fs::path> files = {files_.paths.query, files_.paths.key, files_.paths.value};
    if (files_.query_positions) files.push_back(*files_.query_positions);
    return files;
  }
  std::optional<std::int64_t> layer() const noexcept override { return files_.layer; }

  std::int64_t query_len() const override {
    return NpyFile::open(files_.paths.query).describe(files_.layout.layout).length;
  }

  StoredData open() const override {
    const auto find = [layout = files_.layout.layout](const fs::path& path) {
      const NpyFile file = NpyFile::open(path);
      return StoredTensor{path.string(), "", layout, file.describe(layout),
                          [file, layout] { return file.tensor(layout); }};
    };
    const auto find_all = [&](const QkvPaths& paths) {
      return StoredQkv{find(paths.query), find(paths.key), find(paths.value)};
    };
    StoredData data{find_all(files_.paths)};
    check_layers_agree([&] { return find_all(files_.first); }, data);
    data.layout_is_stated = files_.layout.is_stated;
    data.layer = files_.layer;
    if (files_.query_positions) {
      const NpyFile file = NpyFile::open(*files_.query_positions);
      data.positions = {files_.query_positions->string(), "", file.shape(), file.integers()};
    }
    return data;
  }

 private:
  NpyFiles files_;
};

std::vector<NamedSource> read(const Settings& settings) {
  const auto path_template = [&](const std::string& key) {
    return LayerTemplate(settings.path(key).string());
  };
  const QkvTemplates paths = {path_template("query"), path_template("key"), path_template("value")};
  check_layer_marks(settings, paths);
  const fs::path folder = fs::path(paths.query.text()).parent_path();
  std::vector<std::string> names;
  if (takes_all_layers(settings)) {
    require_folder(folder, settings.position_of("query"));
    for (const std::string& name : file_names(folder)) names.push_back((folder / name).string());
  }
  std::vector<NamedSource> sources;
  const auto layers = choose_layers(settings, paths.query, names, folder.string());
  for (const auto layer : layers) {
    const auto file = [&, layer = layer](const LayerTemplate& path, const char* key) {
      fs::path of_layer = path.with(layer);
      require_file(of_layer, settings.position_of(key));
      return of_layer;
    };
    NpyFiles files{
        .paths = {file(paths.query, "query"), file(paths.key, "key"), file(paths.value, "value")},
        .first = {paths.query.with(layers.front()), paths.key.with(layers.front()),
                  paths.value.with(layers.front())},
        .query_positions = {},
        .layout = layout_of(settings),
        .layer = layer};
    if (settings.has("query_positions")) {
      files.query_positions = file(path_template("query_positions"), "query_positions");
    }
    sources.push_back(
        {.label = layer_label("", layer), .source = std::make_shared<const Npy>(std::move(files))});
  }
  return sources;
}

}  // namespace

SourceKind npy_source() {
  const auto path_key = [](const std::string& name, const std::string& meaning) {
    return SettingKey{.name = name,
                      .form = SettingForm::path(),
                      .meaning = meaning,
                      .example = "captured/" + name.substr(0, 1) + "_{layer}.npy"};
  };
  return {.name = "npy",
          .called = "an npy source",
          .needs = "has one array per file and needs",
          .example = "{kind: npy, query: q.npy, key: k.npy, value: v.npy}",
          .keys = {path_key("query", "with layers, `{layer}` stands in it"),
                   path_key("key", "the same"),
                   path_key("value", "the same"),
                   layers_key("looks at the names of the files", "all"),
                   layout_key(),
                   {.name = "query_positions",
                    .form = SettingForm::path(),
                    .otherwise = "none",
                    .meaning = "position of each query",
                    .example = "captured/positions.npy"}},
          .read = read};
}

}  // namespace maskerade
