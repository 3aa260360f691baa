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

// A required first parameter that is not given, because a search is to find its value. The masker
// holds the least value that a search would try.
struct OpenParameter {
  std::size_t masker = 0;  // of the list
  TextPosition position;
  std::string error;  // of a pipeline whose search is for something else
};

// Reads lists of maskers: each a name, or one masker with its arguments. What it is made of
// outlives it.
class MaskerReader {
 public:
  MaskerReader(const LetTable& lets, const PipelineContext& context)
      : lets_(lets), context_(context) {}

  // Maskers of a list, spliced and without sweeps; lists inside it are flattened. Throws
  // ConfigError. open: gets the parameters that are left to a search; nullptr: there is none.
  std::vector<MaskerUse> read(const YamlNode& list,
                              std::vector<OpenParameter>* open = nullptr) const;

 private:
  struct Given;

  MaskerUse read_item(const YamlNode& item, std::vector<OpenParameter>* open) const;
  MaskerUse bind(const std::string& id,
                 const TextPosition& position,
                 const YamlNode* value,
                 std::vector<OpenParameter>* open) const;
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
