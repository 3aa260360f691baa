#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "experiments/config/experiment.hpp"
#include "experiments/config/yaml_tree.hpp"

namespace maskerade {

// What the pipelines of an experiment file may refer to.
struct PipelineContext {
  const Catalog& catalog;
  std::filesystem::path folder;  // absolute; relative paths in parameters of unit file start here
  const PresetTable& presets;
  // The sections of the file that hold for all its pipelines; nullptr: the file has none.
  const YamlNode* overrides = nullptr;
  const YamlNode* match = nullptr;
};

// Reads the sections `pipelines` and `let` (nullptr: the file has none), and expands their sweeps.
// A let is validated even if no pipeline uses it. If the file has a `match`, every pipeline without
// a `match` of its own is returned once for each variant of it: first all pipelines with the first
// variant, then all with the second. Throws ConfigError.
std::vector<PipelineSpec> read_pipelines(const YamlNode& pipelines,
                                         const YamlNode* let,
                                         const PipelineContext& context);

}  // namespace maskerade
