#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "experiments/config/experiment.hpp"
#include "experiments/config/yaml_tree.hpp"

namespace maskerade {

// Reads a workload. It gives one spec for each variant of its sweeps, for each file of its pattern
// and for each of its layers, sweeps outermost and layers innermost. Relative files start at
// `folder`, which is absolute. Throws ConfigError, at `position` where the workload as a whole is
// wrong.
std::vector<WorkloadSpec> read_workload(const std::string& name,
                                        const TextPosition& position,
                                        const YamlNode& node,
                                        const std::filesystem::path& folder);

}  // namespace maskerade
