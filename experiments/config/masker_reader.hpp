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

// A masker whose required first parameter is not given. That is an error, unless `match` searches
// for its value. Until then the masker holds the least value that the search would try.
struct OpenParameter {
  std::size_t masker = 0;  // its index in the list
  TextPosition position;   // of the masker
  std::string error;       // the message to throw if no search sets the parameter
};

// Reads lists of maskers. An item is a masker's name, or a mapping of that name to its arguments.
// lets and context must outlive this object.
class MaskerReader {
 public:
  MaskerReader(const LetTable& lets, const PipelineContext& context)
      : lets_(lets), context_(context) {}

  // Reads a list in which lets are spliced and sweeps expanded; lists inside it are flattened.
  // Throws ConfigError. A required first parameter that is missing is appended to `open`; it is an
  // error where `open` is nullptr.
  std::vector<MaskerUse> read(const YamlNode& list,
                              std::vector<OpenParameter>* open = nullptr) const;

 private:
  struct GivenArguments;

  MaskerUse read_item(const YamlNode& item, std::vector<OpenParameter>* open) const;
  MaskerUse bind(const std::string& id,
                 const TextPosition& position,
                 const YamlNode* value,
                 std::vector<OpenParameter>* open) const;
  GivenArguments read_arguments(const maskerade_masker_descriptor& masker,
                                const TextPosition& position,
                                const YamlNode& value) const;
  void add(const maskerade_masker_descriptor& masker,
           const std::string& name,
           const TextPosition& position,
           const YamlNode& value,
           GivenArguments& given) const;
  std::string value_text(const YamlNode& value,
                         const std::string& what,
                         const maskerade_parameter* parameter) const;

  const LetTable& lets_;
  const PipelineContext& context_;
};

}  // namespace maskerade
