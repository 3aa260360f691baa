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
  // The sections of the file for all its pipelines; nullptr: there is none.
  const YamlNode* overrides = nullptr;
  const YamlNode* match = nullptr;
};

// Reads the sections `pipelines` and `let` (nullptr: there is none). Every let is validated, used
// or not. Every pipeline comes once for each variant of the file's `match`, unless it has its own:
// all pipelines of the first variant come first. Throws ConfigError.
std::vector<PipelineSpec> read_pipelines(const YamlNode& pipelines,
                                         const YamlNode* let,
                                         const PipelineContext& context);

}  // namespace maskerade
