#include "experiments/config/preset_table.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "experiments/config/accepted_keys.hpp"
#include "experiments/config/scalars.hpp"

namespace maskerade {

PresetTable PresetTable::read(const std::filesystem::path& file) {
  const YamlNode root = read_yaml_file(file);
  if (!root.is_mapping()) {
    throw ConfigError(
        {file.string(), 0, 0},
        fmt::format("the file of presets is {}; it must be a mapping of names to presets: "
                    "{{NAME: {{summary: TEXT, maskers: [...]}}}}",
                    root.describe()));
  }
  PresetTable table;
  for (const YamlEntry& entry : root.entries) {
    require_keys(entry.value, fmt::format("preset \"{}\"", entry.key), accepted_keys("preset"));
    Preset preset{.name = entry.key, .summary = {}, .reference = {}, .pipeline = entry.value};
    const YamlEntry* summary = entry.value.find("summary");
    if (summary == nullptr || entry.value.find("maskers") == nullptr) {
      throw ConfigError(entry.key_position,
                        fmt::format("preset \"{}\" needs a summary and maskers", entry.key));
    }
    preset.summary = read_text(summary->value, "summary");
    if (const YamlEntry* reference = entry.value.find("reference")) {
      preset.reference = read_text(reference->value, "reference");
    }
    std::erase_if(preset.pipeline.entries, [](const YamlEntry& key) {
      return key.key == "summary" || key.key == "reference";
    });
    table.presets_.push_back(std::move(preset));
  }
  return table;
}

std::vector<std::string> PresetTable::names() const {
  std::vector<std::string> names;
  for (const Preset& preset : presets_) names.push_back(preset.name);
  return names;
}

const Preset* PresetTable::find(std::string_view name) const noexcept {
  const auto found = std::find_if(presets_.begin(), presets_.end(),
                                  [&](const Preset& preset) { return preset.name == name; });
  return found == presets_.end() ? nullptr : &*found;
}

}  // namespace maskerade
