#pragma once

#include <string>
#include <vector>

#include "experiments/config/preset_table.hpp"
#include "experiments/config/yaml_tree.hpp"
#include "framework/plugin/catalog.hpp"

namespace maskerade {

// The named lists of maskers that an experiment may write, and their splicing into pipelines: its
// own lets, and presets that are a list of maskers and no more. A let hides a preset of its name.
class LetTable {
 public:
  // let: the section, or nullptr where there is none. All outlive this object. Throws ConfigError
  // on an entry that is no list, or that has the name of a masker or of the dense reference.
  LetTable(const YamlNode* let, const PresetTable& presets, const Catalog& catalog);

  // The lets.
  const std::vector<YamlEntry>& entries() const;
  // Lets and presets.
  std::vector<std::string> names() const;
  bool has(const std::string& name) const;
  bool has_let(const std::string& name) const;
  // "a let" or "a preset", of a name that there is.
  const char* kind_of(const std::string& name) const;

  // A list of maskers, or one name, with a list in place of every name. Throws ConfigError on lets
  // that contain themselves, and on presets that are more than a list.
  YamlNode splice(const YamlNode& maskers) const;

 private:
  YamlNode splice_item(const YamlNode& item,
                       std::vector<std::string>& open,
                       std::size_t& count) const;
  YamlNode splice_name(const YamlNode& item,
                       std::vector<std::string>& open,
                       std::size_t& count) const;

  const YamlNode& list_of(const YamlNode& name) const;

  const YamlNode* let_;
  const PresetTable& presets_;
};

}  // namespace maskerade
