#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "experiments/config/experiment.hpp"
#include "experiments/config/yaml_tree.hpp"

namespace maskerade {

// Reads one workload: its sweeps, its file pattern and its layers give one spec each, sweeps
// outermost.
// Relative files start at `folder`, which is absolute. Throws ConfigError.
std::vector<WorkloadSpec> read_workload(const std::string& name,
                                        const TextPosition& position,
                                        const YamlNode& node,
                                        const std::filesystem::path& folder);

}  // namespace maskerade
