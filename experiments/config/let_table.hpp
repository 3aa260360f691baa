#pragma once

#include <string>
#include <vector>

#include "experiments/config/yaml_tree.hpp"
#include "framework/plugin/catalog.hpp"

namespace maskerade {

// The named lists of a file, and their splicing into pipelines.
class LetTable {
 public:
  // let: the section, or nullptr where there is none; it outlives this object. Throws ConfigError
  // on an entry that is no list, or that has the name of a masker.
  LetTable(const YamlNode* let, const Catalog& catalog);

  const std::vector<YamlEntry>& entries() const;
  std::vector<std::string> names() const;
  bool has(const std::string& name) const;

  // A list of maskers with a list in place of every let-name. Throws ConfigError on lets that
  // contain themselves.
  YamlNode splice(const YamlNode& maskers) const;

 private:
  YamlNode splice_item(const YamlNode& item,
                       std::vector<std::string>& open,
                       std::size_t& count) const;
  YamlNode splice_name(const YamlNode& item,
                       std::vector<std::string>& open,
                       std::size_t& count) const;

  const YamlNode* let_;
};

}  // namespace maskerade
