#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "experiments/config/let_table.hpp"
#include "experiments/config/yaml_tree.hpp"
#include "framework/pipeline/pipeline.hpp"
#include "framework/plugin/catalog.hpp"

namespace maskerade {

struct PipelineContext;

// Reads lists of maskers: each a name, or one masker with its arguments. What it is made of
// outlives it.
class MaskerReader {
 public:
  MaskerReader(const LetTable& lets, const PipelineContext& context)
      : lets_(lets), context_(context) {}

  // Maskers of a list, spliced and without sweeps; lists inside it are flattened. Throws
  // ConfigError.
  std::vector<MaskerUse> read(const YamlNode& list) const;

 private:
  struct Given;

  MaskerUse read_item(const YamlNode& item) const;
  MaskerUse bind(const std::string& id, const TextPosition& position, const YamlNode* value) const;
  Given read_given(const maskerade_masker_descriptor& masker,
                   const TextPosition& position,
                   const YamlNode& value) const;
  void add(const maskerade_masker_descriptor& masker,
           const std::string& name,
           const TextPosition& position,
           const YamlNode& value,
           Given& given) const;
  std::string value_text(const YamlNode& value,
                         const std::string& what,
                         const maskerade_parameter* parameter) const;

  const LetTable& lets_;
  const PipelineContext& context_;
};

}  // namespace maskerade
