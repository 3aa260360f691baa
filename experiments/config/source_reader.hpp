#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "experiments/config/yaml_tree.hpp"
#include "experiments/sources/source_kinds.hpp"

namespace maskerade {

// Reads the mapping of a source, such as {kind: gaussian, seed: 1}, by the table of kinds: a file
// pattern and layers give one source each, files outermost. Relative files start at `folder`, which
// is absolute. Headers of files are read where the source asks for what they hold (layers: all).
// Throws ConfigError.
std::vector<NamedSource> read_source(const YamlNode& source, const std::filesystem::path& folder);

// The same for the source of a workload, which is called `name`. Throws ConfigError at `position`
// when it has none.
std::vector<NamedSource> read_source_of(const YamlNode& workload,
                                        const std::string& name,
                                        const TextPosition& position,
                                        const std::filesystem::path& folder);

}  // namespace maskerade
