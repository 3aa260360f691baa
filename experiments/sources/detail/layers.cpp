#include "experiments/sources/detail/layers.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <string_view>
#include <system_error>

namespace maskerade {
namespace {

constexpr std::string_view kLayerMark = "{layer}";

}  // namespace

bool LayerTemplate::has_layer() const noexcept {
  return text_.find(kLayerMark) != std::string::npos;
}

std::string LayerTemplate::with(std::optional<std::int64_t> layer) const {
  if (!layer) return text_;
  std::string result = text_;
  const std::string number = std::to_string(*layer);
  for (std::size_t at = result.find(kLayerMark); at != std::string::npos;
       at = result.find(kLayerMark, at + number.size())) {
    result.replace(at, kLayerMark.size(), number);
  }
  return result;
}

std::optional<std::int64_t> LayerTemplate::layer_of(const std::string& name) const {
  const std::size_t at = text_.find(kLayerMark);
  if (at == std::string::npos || name.size() <= at) return std::nullopt;
  std::int32_t layer = 0;
  const auto [end, status] = std::from_chars(name.data() + at, name.data() + name.size(), layer);
  if (status != std::errc{} || layer < 0 || with(layer) != name) return std::nullopt;
  return layer;
}

void check_layer_marks(const Settings& settings, const QkvTemplates& templates) {
  const bool has_layers = settings.has("layers");
  for (const auto& [name, text] :
       {std::pair("query", &templates.query), std::pair("key", &templates.key),
        std::pair("value", &templates.value)}) {
    if (text->has_layer() == has_layers) continue;
    if (has_layers) {
      throw ConfigError(settings.position_of(name),
                        fmt::format("{} is {}; a source with layers needs {{layer}} in it, such as "
                                    "\"layers.{{layer}}.{}\"",
                                    name, text->text(), name[0]));
    }
    throw ConfigError(
        settings.position_of(name),
        fmt::format("{} is {}, but the source has no layers; add layers: [0, 1], or layers: all",
                    name, text->text()));
  }
}

std::vector<std::optional<std::int64_t>> choose_layers(const Settings& settings,
                                                       const LayerTemplate& query,
                                                       const std::vector<std::string>& names,
                                                       const std::string& place) {
  if (!settings.has("layers")) return {std::nullopt};
  const LayerChoice& layers = settings.layers("layers");
  if (!layers.is_all) return {layers.listed.begin(), layers.listed.end()};
  std::vector<std::optional<std::int64_t>> found;
  for (const std::string& name : names) {
    if (const auto layer = query.layer_of(name)) found.push_back(layer);
  }
  if (found.empty()) {
    throw ConfigError(
        settings.position_of("layers"),
        fmt::format("layers is all, but nothing in {} is named {}", place, query.text()));
  }
  std::sort(found.begin(), found.end());
  return found;
}

bool takes_all_layers(const Settings& settings) {
  return settings.has("layers") && settings.layers("layers").is_all;
}

std::string layer_label(const std::string& file, std::optional<std::int64_t> layer) {
  if (!layer) return file;
  return fmt::format("{}{}layer={}", file, file.empty() ? "" : " ", *layer);
}

SettingKey layers_key(const std::string& meaning, const std::string& example) {
  return {.name = "layers",
          .form = SettingForm::layers(),
          .otherwise = "none",
          .meaning = "layers to take; `all` " + meaning,
          .example = example};
}

SettingKey layout_key() {
  return {.name = "layout",
          .form = SettingForm::choice({std::string(name_of(TensorLayout::kBhld)),
                                       std::string(name_of(TensorLayout::kBlhd))}),
          .default_text = std::string(name_of(TensorLayout::kBhld)),
          .meaning =
              "order of the axes: `bhld`, or `blhd` for `[batch, length, heads, head_dim]`; "
              "to be stated where the keys have twice as many heads as tokens",
          .example = "blhd"};
}

StatedLayout layout_of(const Settings& settings) {
  return {settings.choice("layout") == name_of(TensorLayout::kBlhd) ? TensorLayout::kBlhd
                                                                    : TensorLayout::kBhld,
          settings.is_given("layout")};
}

void check_layers_agree(const std::function<StoredQkv()>& first, const StoredQkv& layer) {
  const StoredQkv other = [&] {
    try {
      return first();
    } catch (const DataError&) {
      return layer;
    }
  }();
  const auto shape = [](const TensorView& view) {
    return fmt::format("[{}, {}, {}, {}]", view.batch, view.heads, view.length, view.dim);
  };
  for (const auto& [tensor, of_first] :
       {std::pair(&layer.q, &other.q), std::pair(&layer.k, &other.k),
        std::pair(&layer.v, &other.v)}) {
    const std::string held = shape(tensor->description);
    const std::string expected = shape(of_first->description);
    if (held == expected) continue;
    throw DataError(tensor->file, tensor->name,
                    fmt::format("its shape is {}, that of {} is {}; the layers of one source must "
                                "agree: give a layer of another shape a workload of its own, or "
                                "correct the file",
                                held, of_first->short_name(), expected));
  }
}

}  // namespace maskerade
