#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "experiments/config/yaml_tree.hpp"

namespace maskerade {

// A pipeline that every experiment may use by its name, with the parameters that a paper uses.
struct Preset {
  std::string name;
  std::string summary;    // one line
  std::string reference;  // the paper; "": none is named
  YamlNode pipeline;      // a mapping such as a pipeline's: maskers, and maybe only and overrides
};

// The presets of a file: a mapping of names to pipelines in the form of a mapping, which has the
// keys `summary` and `reference` too. Their maskers are validated only when an experiment uses
// them.
class PresetTable {
 public:
  PresetTable() = default;
  // Reads a file of presets. Throws ConfigError where it is not one, or has unknown or missing
  // keys.
  static PresetTable read(const std::filesystem::path& file);

  const std::vector<Preset>& presets() const noexcept { return presets_; }  // in the file's order
  std::vector<std::string> names() const;
  // The preset of that name; nullptr: there is none. It lives as long as this table.
  const Preset* find(std::string_view name) const noexcept;

 private:
  std::vector<Preset> presets_;
};

}  // namespace maskerade
