#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "experiments/config/experiment.hpp"
#include "experiments/config/yaml_tree.hpp"

namespace maskerade {

// What the pipelines of a file are read with.
struct PipelineContext {
  const Catalog& catalog;
  std::filesystem::path folder;  // relative paths of file parameters start here; absolute
  const PresetTable& presets;
  const YamlNode* overrides = nullptr;  // those of the file, for all its pipelines
};

// Reads the sections `pipelines` and `let` (nullptr: there is none). Every let is validated, used
// or not. Throws ConfigError.
std::vector<PipelineSpec> read_pipelines(const YamlNode& pipelines,
                                         const YamlNode* let,
                                         const PipelineContext& context);

}  // namespace maskerade
