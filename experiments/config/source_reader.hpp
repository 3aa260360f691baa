#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "experiments/config/experiment.hpp"
#include "experiments/config/yaml_tree.hpp"

namespace maskerade {

// One source and what distinguishes it from the others that the same text gave.
struct NamedSource {
  std::string label;  // "prompt_3 layer=5": the file that a pattern gave, the layer; or ""
  WorkloadSource source;
};

// Reads the source of a workload: its file pattern and its layers give one source each, files
// outermost. `layers: all` opens the files. Relative files start at `folder`, which is absolute.
// Throws ConfigError, at `position` when there is no source.
std::vector<NamedSource> read_source(const YamlNode& workload,
                                     const std::string& name,
                                     const TextPosition& position,
                                     const std::filesystem::path& folder);

}  // namespace maskerade
