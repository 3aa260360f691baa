#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "experiments/config/yaml_tree.hpp"

namespace maskerade {

// A pipeline that experiments may use by name, with the settings of a paper.
struct Preset {
  std::string name;
  std::string summary;    // one line
  std::string reference;  // the paper; "" for none
  YamlNode pipeline;      // a mapping of keys of `pipeline`, its maskers without let-names
};

// The presets of a file: a mapping of names, each a pipeline's mapping with `summary` and
// `reference` beside its own keys. Their maskers are validated where they are used.
class PresetTable {
 public:
  PresetTable() = default;
  // Throws ConfigError.
  static PresetTable read(const std::filesystem::path& file);

  const std::vector<Preset>& presets() const noexcept { return presets_; }  // in the file's order
  std::vector<std::string> names() const;
  // The preset of that name, or nullptr.
  const Preset* find(std::string_view name) const noexcept;

 private:
  std::vector<Preset> presets_;
};

}  // namespace maskerade
