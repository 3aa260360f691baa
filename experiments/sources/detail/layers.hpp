#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "experiments/sources/settings.hpp"
#include "experiments/sources/source.hpp"
#include "framework/tensor_files/tensor_layout.hpp"

namespace maskerade {

// What the sources of files share: the keys `layers` and `layout`.

// A text in which {layer} stands for the number of a layer.
class LayerTemplate {
 public:
  LayerTemplate() = default;
  explicit LayerTemplate(std::string text) : text_(std::move(text)) {}

  const std::string& text() const noexcept { return text_; }
  bool has_layer() const noexcept;
  // The text for a layer; for nullopt the text as it is.
  std::string with(std::optional<std::int64_t> layer) const;
  // The layer for which the text is this name, if there is one.
  std::optional<std::int64_t> layer_of(const std::string& name) const;

 private:
  std::string text_;
};

// What the keys query, key and value say, tensor names or paths, before a layer is chosen.
struct QkvTemplates {
  LayerTemplate query;
  LayerTemplate key;
  LayerTemplate value;
};

// Throws ConfigError unless {layer} stands in all three texts of a source with layers, and in none
// of a source without.
void check_layer_marks(const Settings& settings, const QkvTemplates& templates);

// The layers of a source: those that it lists, or where it says `all` those that one of `names`
// has in the place of {layer} of `query`, sorted; a single nullopt for a source without layers.
// `place` is where the names are from, as messages say it. Throws ConfigError when `all` is none.
std::vector<std::optional<std::int64_t>> choose_layers(const Settings& settings,
                                                       const LayerTemplate& query,
                                                       const std::vector<std::string>& names,
                                                       const std::string& place);

// Whether a source takes all the layers that its files have.
bool takes_all_layers(const Settings& settings);

// The label of the source of a file and a layer: "prompt_3 layer=5". `file` may be empty.
std::string layer_label(const std::string& file, std::optional<std::int64_t> layer);

// The key `layers`, whose `all` looks at what `meaning` says.
SettingKey layers_key(const std::string& meaning, const std::string& example);

// The key `layout`, and what it says.
SettingKey layout_key();
StatedLayout layout_of(const Settings& settings);

// Throws DataError unless q, k and v of a layer have the shapes that those of `first`, another
// layer of the same source, have. One of `first` that cannot be described is left to its own
// workload.
void check_layers_agree(const std::function<StoredQkv()>& first, const StoredQkv& layer);

}  // namespace maskerade
