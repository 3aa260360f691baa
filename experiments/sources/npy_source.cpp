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

// What one source of this kind reads. Paths are absolute.
struct NpyFiles {
  fs::path query;
  fs::path key;
  fs::path value;
  std::optional<fs::path> query_positions;
  TensorLayout layout = TensorLayout::kBhld;
  std::optional<std::int64_t> layer;  // nullopt: 0
};

class Npy final : public StoredSource {
 public:
  explicit Npy(NpyFiles files) : files_(std::move(files)) {}

  const char* kind() const noexcept override { return "npy"; }

  SourceDescription describe() const override {
    SourceDescription description{.name = files_.query.filename().string(),
                                  .file = files_.query.string(),
                                  .parameters = {{"key", files_.key.string()},
                                                 {"value", files_.value.string()},
                                                 {"layout", name_of(files_.layout)}}};
    if (files_.query_positions) {
      description.parameters.emplace_back("query_positions", files_.query_positions->string());
    }
    return description;
  }

  std::vector<fs::path> files() const override {
    std::vector<fs::path> files = {files_.query, files_.key, files_.value};
    if (files_.query_positions) files.push_back(*files_.query_positions);
    return files;
  }
  std::optional<std::int64_t> layer() const noexcept override { return files_.layer; }

  std::int64_t query_len() const override {
    return NpyFile::open(files_.query).describe(files_.layout).length;
  }

  StoredData open() const override {
    const auto find = [layout = files_.layout](const fs::path& path) {
      const NpyFile file = NpyFile::open(path);
      return StoredTensor{path.string(), "", layout, file.describe(layout),
                          [file, layout] { return file.tensor(layout); }};
    };
    StoredData data{.q = find(files_.query),
                    .k = find(files_.key),
                    .v = find(files_.value),
                    .layer = files_.layer};
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
  for (const auto layer : choose_layers(settings, paths.query, names, folder.string())) {
    const auto file = [&, layer = layer](const LayerTemplate& path, const char* key) {
      fs::path of_layer = path.with(layer);
      require_file(of_layer, settings.position_of(key));
      return of_layer;
    };
    NpyFiles files{.query = file(paths.query, "query"),
                   .key = file(paths.key, "key"),
                   .value = file(paths.value, "value"),
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
