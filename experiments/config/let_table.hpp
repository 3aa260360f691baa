#pragma once

#include <string>
#include <vector>

#include "experiments/config/preset_table.hpp"
#include "experiments/config/yaml_tree.hpp"
#include "framework/plugin/catalog.hpp"

namespace maskerade {

// The names that stand for a list of maskers in an experiment, and their replacement by that list:
// the lets of the experiment, and those presets that are only a list of maskers. A let hides a
// preset of the same name.
class LetTable {
 public:
  // let: the section `let`, or nullptr when the file has none. `let` and `presets` must outlive
  // this object. Throws ConfigError on an entry that is not a list, or that has the name of a
  // masker or of the dense reference.
  LetTable(const YamlNode* let, const PresetTable& presets, const Catalog& catalog);

  // The entries of the section `let`, without presets.
  const std::vector<YamlEntry>& entries() const;
  // The names of all lets, then of all presets.
  std::vector<std::string> names() const;
  // Whether there is a let or a preset of that name; whether there is a let.
  bool has(const std::string& name) const;
  bool has_let(const std::string& name) const;
  // Says in messages what a name is: "a let" or "a preset". Requires has(name).
  const char* describe(const std::string& name) const;

  // Returns a copy of a list of maskers, or of a single name, in which every let and preset is
  // replaced by its list. Throws ConfigError on a let that contains itself, on a preset that is
  // more than a list of maskers, and above 10,000 items.
  YamlNode splice(const YamlNode& maskers) const;

 private:
  // Both splice a part of a list. open: the names that are being replaced, outermost first. count:
  // the number of items so far.
  YamlNode splice_item(const YamlNode& item,
                       std::vector<std::string>& open,
                       std::size_t& count) const;
  YamlNode splice_name(const YamlNode& item,
                       std::vector<std::string>& open,
                       std::size_t& count) const;

  // The list that a name stands for. Throws ConfigError on a preset that is more than a list.
  const YamlNode& list_of(const YamlNode& name) const;

  const YamlNode* let_;
  const PresetTable& presets_;
};

}  // namespace maskerade
